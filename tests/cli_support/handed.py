"""Becomes the program in its arguments, with SOCKETS from descriptor 3 on and LISTEN_PID of the very process (sd_listen_fds(3)).

All sockets have one free port, which is printed and stands in the place of PORT in the arguments and in gatepost.toml.
"""

import os
import socket
import sys

DGRAM, STREAM = socket.SOCK_DGRAM, socket.SOCK_STREAM


def made(host, kind):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family, kind)
    s.bind((host, port))
    kind == DGRAM or s.listen(5)
    return s


for _ in range(20):
    first = socket.socket(socket.AF_INET, DGRAM)
    first.bind(("127.0.0.9", 0))
    port = first.getsockname()[1]
    first.close()
    try:
        sockets = SOCKETS
        break
    except OSError:
        pass

if os.path.exists("gatepost.toml"):
    text = open("gatepost.toml").read()
    open("gatepost.toml", "w").write(text.replace("PORT", str(port)))
print(port, flush=True)
for n, s in enumerate(sockets):
    os.dup2(s.fileno(), 100 + n)
for n in range(len(sockets)):
    os.dup2(100 + n, 3 + n)
    os.close(100 + n)
os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="some:names")
os.execv(sys.argv[1], [word.replace("PORT", str(port)) for word in sys.argv[1:]])
