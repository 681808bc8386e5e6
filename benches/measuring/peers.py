"""The other proxies, doing the same work: their configurations stand in `peers/`, for 127.0.0.1:9000 and the header
X-Member; ports, files and the header's name are put in here."""

import dataclasses
import shutil
import signal
import subprocess

from . import ground, programs, work

CONFIGURATIONS = ground.BENCHES / "peers"


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    process: ground.Process
    port: int


def start(name, place, origin, *, h2=False):
    """Starts one in front of `origin`; `h2` takes HTTP/2 from callers, in plain text."""
    port = ground.free_port()
    process = {"nginx": nginx, "haproxy": haproxy, "envoy": envoy, "pingora": pingora}[name](place, origin, port, h2)
    return Peer(name, process, port)


def changed(file, changes):
    """The text of a peer's configuration with all of `changes` made; each must find its place."""
    text = (CONFIGURATIONS / file).read_text()
    for old, new in changes.items():
        assert old in text, f"peers/{file} has no {old!r}"
        text = text.replace(old, new)
    return text


def nginx(place, origin, port, h2):
    members = place.folder / "nginx.map"
    members.write_text("".join(f'{m} "Bearer {t}";\n' for m, t in work.tokens().items()))
    file, ours, theirs = ("nginx-tls.conf", 8003, 9443) if origin.ca_file else ("nginx.conf", 8001, 9000)
    text = changed(file, {
        f"listen 127.0.0.1:{ours}": f"listen 127.0.0.1:{port}" + (" http2" if h2 else ""),
        f"127.0.0.1:{theirs}": f"127.0.0.1:{origin.port}",
        "conf/nginx.map": str(members),
        "$http_x_member": "$http_linkgate_member",
        "X-Member": "Linkgate-Member",
    })
    conf = place.folder / "nginx.conf"
    conf.write_text(text)
    command = [shutil.which("nginx"), "-p", f"{place.folder}/", "-e", place.folder / "nginx.err", "-c", conf]
    return place.start(ground.PROXY_CORE, *command, port=port)


def haproxy(place, origin, port, h2):
    members = place.folder / "haproxy.map"
    members.write_text("".join(f"{m} Bearer {t}\n" for m, t in work.tokens().items()))
    file, ours, theirs = ("haproxy-tlsh2.cfg", 8014, 9443) if origin.ca_file else ("haproxy.cfg", 8011, 9000)
    changes = {
        f"bind 127.0.0.1:{ours}": f"bind 127.0.0.1:{port}" + (" proto h2" if h2 else ""),
        f"127.0.0.1:{theirs}": f"127.0.0.1:{origin.port}",
        "conf/haproxy.map": str(members),
        "x-member": "linkgate-member",
        "X-Member": "Linkgate-Member",
    }
    if origin.ca_file and not origin.is_h2:
        changes["alpn h2"] = "alpn http/1.1"
    conf = place.folder / "haproxy.cfg"
    conf.write_text(changed(file, changes))
    return place.start(ground.PROXY_CORE, shutil.which("haproxy"), "-f", conf, port=port)


def envoy(place, origin, port, h2):
    """One configuration for h1 and h2 from callers: its codec looks at the first bytes."""
    routes = ",\n".join(route(m) for m in work.tokens().items())
    changes = {"8021": str(port), "9000": str(origin.port), "x-member": "linkgate-member", "# MEMBERS": routes}
    if origin.ca_file:
        changes["# TRANSPORT"] = TRANSPORT
    if origin.is_h2:
        changes["http_protocol_options: {}"] = "http2_protocol_options: {}"
    conf = place.folder / "envoy.yaml"
    conf.write_text(changed("envoy.yaml", changes))
    command = [shutil.which("envoy"), "-c", conf, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    return place.start(ground.PROXY_CORE, *command, port=port)


TRANSPORT = """transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: api.linkedin.test
        common_tls_context: { tls_params: { tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3 } }"""


def route(member):
    """One leaf of envoy's tree of members: to the cluster, with this token."""
    name, token = member
    return (f'"{name}": {{action: {{name: route, typed_config: {{'
            '"@type": type.googleapis.com/envoy.config.route.v3.Route, match: {prefix: "/"}, '
            'route: {cluster: li, timeout: 0s, host_rewrite_literal: api.linkedin.test}, request_headers_to_add: '
            f'[{{header: {{key: authorization, value: "Bearer {token}"}}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}}], '
            'request_headers_to_remove: [linkgate-member, proxy-connection, keep-alive, te]}}}')


def pingora(place, origin, port, h2):
    """Built by `compare --with-pingora`; one worker thread, h1 and h2 from callers on the same port."""
    members = place.folder / "pingora.map"
    members.write_text("".join(f"{m} Bearer {t}\n" for m, t in work.tokens().items()))
    upstream = "h2" if origin.is_h2 else "h1"
    words = [port, f"127.0.0.1:{origin.port}", members, "tls" if origin.ca_file else "plain", upstream, "linkgate-member"]
    # At SIGTERM it would wait minutes for connections.
    return place.start(ground.PROXY_CORE, pingora_binary(), *words, port=port, stop=signal.SIGINT)


PINGORA = CONFIGURATIONS / "pingora"


def pingora_binary():
    return PINGORA / "target" / "release" / "pingora-peer"


def build_pingora():
    """In a target folder of its own, which later runs find again."""
    programs.built(PINGORA / "Cargo.toml", "pingora-peer", "--locked", target=PINGORA / "target")


def version(name):
    """What the program says of itself."""
    if name == "pingora":
        lock = (PINGORA / "Cargo.lock").read_text()
        return lock.partition('name = "pingora"\nversion = "')[2].partition('"')[0]
    words = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"], "envoy": ["envoy", "--version"]}[name]
    said = subprocess.run(words, capture_output=True, text=True)
    text = (said.stdout + said.stderr).strip()
    return {
        "nginx": lambda: text.partition("/")[2],
        "haproxy": lambda: text.split()[2],
        "envoy": lambda: text.partition("version: ")[2].split("/")[1],
    }[name]()
