"""The servers of fetch.py: Python's http.server and nginx, each on free ports of 127.0.0.1."""

import contextlib
import functools
import http.server
import os
import pathlib
import socket
import subprocess
import threading
import time

# `user` is for root alone: its workers would be nobody's otherwise, and could not read the folders.
NGINX = """
{user}
daemon off;
worker_processes 2;
error_log error.log;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    types {{
        text/html html;
        text/plain txt;
        application/json json;
        application/octet-stream bin;
    }}
    client_body_temp_path temporary; proxy_temp_path temporary; fastcgi_temp_path temporary;
    uwsgi_temp_path temporary; scgi_temp_path temporary;
    log_format requests '$server_port $status $request_uri $body_bytes_sent $http_range';
    access_log access.log requests;
    sendfile on;
    tcp_nopush on;
    root {root};
    limit_req_zone $server_port zone=fifty:1m rate=50r/s;
    {servers}
}}
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def python_server(root):
    """http.server: HTTP/1.0, without ranges and compression. Gives its address."""
    handler = functools.partial(Quiet, directory=root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


class Nginx:
    """nginx with a server for each set of directives. All have the same root, `root` in its folder."""

    def __init__(self, folder, servers):
        self.folder = folder
        self.root = folder / "root"
        self.root.mkdir(parents=True)
        ports = free_ports(len(servers))
        blocks = [f"server {{ listen 127.0.0.1:{port}; {lines} }}" for port, lines in zip(ports, servers.values())]
        user = "user root;" if os.getuid() == 0 else ""
        configuration = folder / "nginx.conf"
        configuration.write_text(NGINX.format(user=user, root=self.root, servers="\n".join(blocks)))
        self.addresses = {name: f"http://127.0.0.1:{port}" for name, port in zip(servers, ports)}
        self.ports = dict(zip(servers, ports))
        self.read = 0
        errors = folder / "error.log"
        self.process = subprocess.Popen(["nginx", "-c", configuration, "-p", folder, "-e", errors])
        wait_for(lambda: all(accepts(port) for port in ports), f"nginx, see {errors}")

    def requests(self, name):
        """The requests to a server since the last call: status, path, bytes sent, header Range."""
        # nginx writes a request down once it is over, a moment after the client has its last byte.
        time.sleep(0.2)
        text = (self.folder / "access.log").read_text()
        lines, self.read = text[self.read :].splitlines(), len(text)
        fields = [line.split(" ", 4) for line in lines]
        return [
            (int(status), path, int(sent), wanted)
            for port, status, path, sent, wanted in fields
            if port == str(self.ports[name])
        ]

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=10)


def free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def accepts(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{seconds} s without {what}"
        time.sleep(0.005)


def memory_of(process):
    """Waits for the end of a process. Returns its peak memory in bytes.

    wait4 would tell the memory of Python at the fork, if that is more.
    """
    status = pathlib.Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(OSError):
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = int(line.split()[1]) * 1024
        time.sleep(0.02)
    return peak
