//! A small proxy on pingora: header → one of 1,000 tokens, Authorization and Host set, selecting and hop-by-hop headers
//! removed, kept-alive pool to the origin, the answer streamed back. One worker thread; h1 and h2 from callers.
//!
//! usage: pingora-peer PORT ORIGIN MEMBERS-FILE plain|tls h1|h2 HEADER

use std::{collections::HashMap, fs, time::Duration};

use async_trait::async_trait;
use pingora::{
    apps::HttpServerOptions,
    http::RequestHeader,
    protocols::ALPN,
    proxy::{ProxyHttp, Session, http_proxy_service},
    server::{Server, configuration::{Opt, ServerConf}},
    upstreams::peer::HttpPeer,
    Error, ErrorType, Result,
};

struct Peer {
    origin: String,
    tokens: HashMap<Vec<u8>, String>,
    header: String,
    is_tls: bool,
    alpn: ALPN,
}

#[async_trait]
impl ProxyHttp for Peer {
    /// The member's token, once it is known.
    type CTX = Option<String>;

    fn new_ctx(&self) -> Self::CTX {
        None
    }

    async fn request_filter(&self, session: &mut Session, token: &mut Self::CTX) -> Result<bool> {
        let member = session.req_header().headers.get(&self.header);
        *token = member.and_then(|name| self.tokens.get(name.as_bytes())).cloned();
        match token {
            Some(_) => Ok(false),
            None => {
                session.respond_error(403).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(&self.origin, self.is_tls, "api.linkedin.test".to_owned());
        peer.options.verify_cert = false;
        peer.options.verify_hostname = false;
        peer.options.alpn = self.alpn.clone();
        peer.options.idle_timeout = Some(Duration::from_secs(300));
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        token: &mut Self::CTX,
    ) -> Result<()> {
        let token = token.take().ok_or_else(|| Error::new(ErrorType::InternalError))?;
        request.insert_header("authorization", token)?;
        request.insert_header("host", "api.linkedin.test")?;
        for name in [self.header.as_str(), "keep-alive", "proxy-connection", "te"] {
            request.remove_header(name);
        }
        Ok(())
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, origin, members, security, version, header] = words.as_slice() else {
        panic!("usage: pingora-peer PORT ORIGIN MEMBERS-FILE plain|tls h1|h2 HEADER");
    };
    let lines = fs::read_to_string(members).expect("the members' file");
    let pairs = lines.lines().filter_map(|line| line.split_once(' '));
    let tokens = pairs.map(|(name, token)| (name.as_bytes().to_vec(), token.to_owned())).collect();
    let peer = Peer {
        origin: origin.clone(),
        tokens,
        header: header.clone(),
        is_tls: security == "tls",
        alpn: if version == "h2" { ALPN::H2 } else { ALPN::H1 },
    };

    let conf = ServerConf { threads: 1, upstream_keepalive_pool_size: 1024, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(Opt::default(), conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, peer);
    if let Some(proxy) = service.app_logic_mut() {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        proxy.server_options = Some(options);
    }
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever();
}
