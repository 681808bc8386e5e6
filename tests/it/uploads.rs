//! Uploads: the URLs LinkedIn names become the gateway's own, and what is sent there arrives.

use linkgate::sandbox::Sandbox;

use crate::support::{Gateway, Reply};

const JSON: &str = "Content-Type: application/json\r\nLinkedIn-Version: 202609\r\n\
                    X-Restli-Protocol-Version: 2.0.0\r\n";

async fn initialize(gateway: &Gateway, host: &str, target: &str, body: &str) -> Reply {
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}~ada\r\n{JSON}\
         Content-Length: {}\r\n\r\n{body}",
        gateway.key,
        body.len()
    );
    let reply = gateway.ask(request).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.header("content-length"),
        Some(&*reply.body.len().to_string())
    );
    reply
}

/// PUTs to a URL that the gateway named.
async fn put(gateway: &Gateway, url: &str, body: &str) -> Reply {
    let path = url.strip_prefix(&format!("http://{}", gateway.address));
    let path = path.unwrap_or_else(|| panic!("{url} is not the gateway's"));
    let head = gateway.head("PUT", path, "ada");
    gateway
        .ask(format!(
            "{head}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_uploaded_through_the_gateway_with_the_members_token() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let host = gateway.address.to_string();
    let owner = r#"{"initializeUploadRequest":{"owner":"urn:li:person:x"}}"#;

    let reply = initialize(
        &gateway,
        &host,
        "/rest/images?action=initializeUpload",
        owner,
    )
    .await;

    let url = reply.json()["value"]["uploadUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        url.starts_with(&format!("http://{host}/dms-uploads/")),
        "{url}"
    );
    assert!(
        !reply.text().contains("www.linkedin.com"),
        "{}",
        reply.text()
    );
    assert_eq!(put(&gateway, &url, "picture").await.status, 201);
    let received = linkedin.received("PUT /dms-uploads").pop().unwrap();
    let token = linkedin.live_access_tokens("ada").remove(0);
    assert_eq!(
        received.header("authorization"),
        Some(&*format!("Bearer {token}"))
    );
    assert_eq!(&*received.body, b"picture");
    assert!(
        url.ends_with(&received.target),
        "{url}: {}",
        received.target
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_a_video_has_a_url_of_the_gateway() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let host = gateway.address.to_string();
    let request =
        r#"{"initializeUploadRequest":{"owner":"urn:li:person:x","fileSizeBytes":9000000}}"#;
    let reply = initialize(
        &gateway,
        &host,
        "/rest/videos?action=initializeUpload",
        request,
    )
    .await;
    let value = reply.json()["value"].clone();
    let parts = value["uploadInstructions"].as_array().unwrap();
    assert_eq!(parts.len(), 3);
    let mut etags = Vec::new();
    for part in parts {
        let answer = put(&gateway, part["uploadUrl"].as_str().unwrap(), "part").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        etags.push(answer.header("etag").unwrap().to_owned());
    }
    let finish = serde_json::json!({"finalizeUploadRequest": {
        "video": value["video"], "uploadToken": "", "uploadedPartIds": etags,
    }});
    let target = "/rest/videos?action=finalizeUpload";
    initialize(&gateway, &host, target, &finish.to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_answers_that_name_upload_urls_are_changed_and_only_where_it_is_wanted() {
    let linkedin = Sandbox::start();
    let off = Gateway::before(&linkedin).with("ada");
    let off = off
        .tuned(|settings| settings.linkedin.rewrite_upload_urls = false)
        .start()
        .await;
    let owner = r#"{"initializeUploadRequest":{"owner":"urn:li:person:x"}}"#;
    let target = "/rest/images?action=initializeUpload";
    let reply = initialize(&off, "localhost", target, owner).await;
    let url = reply.json()["value"]["uploadUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        url.starts_with("https://www.linkedin.com/dms-uploads/"),
        "{url}"
    );

    let on = Gateway::before(&linkedin).with("ada").tuned(|settings| {
        settings.public_url = Some("https://gate.example".to_owned());
    });
    let on = on.start().await;
    let reply = initialize(&on, "localhost", target, owner).await;
    let url = reply.json()["value"]["uploadUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        url.starts_with("https://gate.example/dms-uploads/"),
        "{url}"
    );
}
