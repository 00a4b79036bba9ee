"""nginx: the other floor. Its Debian package is unpacked, not installed: no service, no root."""

import shutil
from pathlib import Path

from benches import machine
from benches.gateway import Ports, Running, spawn, wait_for_port
from benches.peers import installing

VERSION = "Debian's"
SWITCHED_ON = "nothing: proxy_pass with kept connections, one worker"

_CONFIG = """\
worker_processes 1;
daemon off;
pid {place}/nginx.pid;
error_log {place}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
  client_body_buffer_size 1m;
  keepalive_requests 1000000000;
  upstream mock {{
    server 127.0.0.1:{upstream} max_fails=0;
    keepalive 128;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{gateway};
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def install(place: Path) -> None:
    if shutil.which("nginx") or (place / "usr/sbin/nginx").exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    installing.run(["apt-get", "download", "nginx"], cwd=place)
    for package in place.glob("nginx_*.deb"):
        installing.run(["dpkg-deb", "-x", str(package), str(place)], cwd=place)


def start(place: Path, ports: Ports) -> Running:
    unpacked = place / "usr/sbin/nginx"
    binary = unpacked if unpacked.exists() else Path(shutil.which("nginx") or "nginx")
    place.mkdir(parents=True, exist_ok=True)
    config, log = place / "nginx.conf", place / "nginx.log"
    names = {"place": place.resolve(), "gateway": ports.gateway, "upstream": ports.upstream}
    config.write_text(_CONFIG.format(**names))
    argv = [str(binary), "-c", str(config.resolve()), "-p", str(place.resolve())]
    process = spawn(argv, log, cpus=machine.cores().gateway)
    wait_for_port(ports.gateway, process, log, seconds=10)
    return Running("nginx", ports.gateway, SWITCHED_ON, {"nginx": process.pid}, process=process)
