"""What stands in LinkedIn's place: nginx with static answers, on the other core."""

import dataclasses
import shutil
import subprocess

from . import ground, work


@dataclasses.dataclass(frozen=True)
class Origin:
    process: ground.Process
    port: int
    scheme: str
    # PEM root that its certificate can be checked with; none in plain text.
    ca_file: str | None
    is_h2: bool = False
    # Where it speaks HTTP/1.1 in any case.
    h1_port: int = 0

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def by_h1(self):
        return dataclasses.replace(self, port=self.h1_port, is_h2=False)


def start(place, tls=None):
    """In plain text, or by TLS 1.3 with HTTP/1.1 (`tls="h1"`) or HTTP/2 (`tls="h2"`)."""
    port, h1_port = ground.free_port(), ground.free_port()
    ca_file = make_certificate(place.folder) if tls else None
    security = {None: "", "h1": "ssl", "h2": "ssl http2"}[tls]
    (place.folder / "report").write_bytes(b"x" * work.STREAM_BYTES)
    file = place.folder / "origin.conf"
    file.write_text(configuration(port, h1_port, security))
    process = place.start(ground.OTHER_CORE, shutil.which("nginx"), "-p", f"{place.folder}/",
                          "-e", place.folder / "origin.err", "-c", file, port=port)
    return Origin(process, port, "https" if tls else "http", ca_file, tls == "h2", h1_port)


def configuration(port, h1_port, security):
    headers = "\n".join(f"add_header {name} '{value}' always;" for name, value in work.ANSWER_HEADERS.items())
    certificate = "ssl_certificate leaf.pem; ssl_certificate_key leaf.key; ssl_protocols TLSv1.3;" if security else ""
    return f"""
worker_processes 1; daemon off; pid run/origin.pid; error_log run/origin.err warn;
worker_rlimit_nofile 19000;
events {{ worker_connections 16384; multi_accept on; }}
http {{
  access_log off; keepalive_timeout 300s; keepalive_requests 100000000; default_type application/json;
  large_client_header_buffers 4 32k; client_body_buffer_size 64k; client_max_body_size 0; sendfile on;
  client_body_temp_path run/origin-cb; proxy_temp_path run/origin-pt; fastcgi_temp_path run/origin-ft;
  uwsgi_temp_path run/origin-ut; scgi_temp_path run/origin-st;
  server {{
    listen 127.0.0.1:{port} {security} backlog=4096;
    listen 127.0.0.1:{h1_port} {"ssl" if security else ""} backlog=4096;
    {certificate}
    {headers}
    location / {{ return 200 '{work.answer_body()}'; }}
    location = {work.POST} {{ return 201 '{work.answer_body()}'; }}
    location = {work.STREAM} {{ alias report; }}
    location = {work.REFUSED} {{ return 403 '{work.refused_body()}'; }}
    location = /seen {{ return 200 '$http_authorization|$http_linkgate_member|$http_host'; }}
    location = /oauth/accessToken {{ return 200 '{renewed()}'; }}
    location = /oauth/introspectToken {{ return 200 '{{"active":true,"status":"active","client_id":"bench"}}'; }}
  }}
}}"""


def renewed():
    """A token answer that differs each time, of LinkedIn's length."""
    filler = "x" * 460
    return (f'{{"access_token":"AQV${{request_id}}{filler}","expires_in":5184000,'
            f'"refresh_token":"AQW${{request_id}}{filler}","refresh_token_expires_in":31536000}}')


def make_certificate(folder):
    """A root and a leaf for 127.0.0.1; returns the root's file."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    def new_key(name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]

    (folder / "leaf.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:api.linkedin.test\nbasicConstraints=CA:FALSE\n")
    openssl("req", "-x509", *new_key("root"), "-days", "30", "-subj", "/CN=benches", "-out", "root.pem")
    openssl("req", *new_key("leaf"), "-subj", "/CN=127.0.0.1", "-out", "leaf.csr")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
            "-days", "30", "-extfile", "leaf.ext", "-out", "leaf.pem")
    return str(folder / "root.pem")
