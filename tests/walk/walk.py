"""Goes through the pages; see `run`. It is the only process of its namespaces: mounts, network, processes."""

import fcntl
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 90
CARGO_SECONDS = 600


class Step:
    """A command of a page, and what is done about it."""

    def __init__(
        self, command, says=(), status=0, seconds=SECONDS, instead=None, serves=False, why=None, needs=None, then=None
    ):
        self.command, self.says, self.status, self.seconds = command, says, status, seconds
        # Another command, run in its place; None: it is only named.
        self.instead, self.why = instead, why
        # It goes on until it is told to stop: the next that serves, or the page's end.
        self.serves = serves
        # A command that this gateway must know, else it is passed over, visibly.
        self.needs = needs
        # What must hold afterwards.
        self.then = then


def run(command, *says, **more):
    return Step(command, says, **more)


def cargo(command, *says, **more):
    return Step(command, says, serves=True, seconds=CARGO_SECONDS, **more)


def instead(command, other, why, *says, **more):
    return Step(command, says, instead=other, why=why, **more)


def named(command, why):
    return Step(command, why=why)


NO_CLUSTER = "there is no cluster here"
NO_ENGINE = "there is no container engine here"
# The gateway of a pod, with the folder that its container would see.
POD = "lay_out {0} $pod; gatepost run --config $pod/gatepost.yaml >$pod/audit 2>$pod/log & gateway=$!"
ANSWERS = "curl -fsS --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:9090/livez"


def secret(namespace):
    command = f"openssl rand -hex 32 | kubectl --namespace {namespace} create secret generic gatepost-sessions --from-file=key-1=/dev/stdin"
    return instead(command, f"{command} --dry-run=client -o yaml", NO_CLUSTER, "kind: Secret", r"key-1: \w{80,}")


def namespace(name):
    command = f"kubectl create namespace {name}"
    return instead(command, f"{command} --dry-run=client -o yaml", NO_CLUSTER, "kind: Namespace")


def kustomized(overlay, *says):
    return [
        run(f"kubectl kustomize deploy/kustomize/overlays/{overlay} | deploy/check", "gatepost.yaml: ok", *says),
        instead(
            f"kubectl apply -k deploy/kustomize/overlays/{overlay}",
            f"kubectl kustomize deploy/kustomize/overlays/{overlay}",
            NO_CLUSTER,
            "kind: Deployment",
            "kind: NetworkPolicy",
        ),
    ]


def installed(release, space, values, *says):
    rest = f"{release} deploy/helm/gatepost --namespace {space} --values {values}"
    return [
        run(f"helm template {rest} | deploy/check", "gatepost.yaml: ok", *says),
        instead(
            f"helm upgrade --install {rest}", f"helm install {rest} --dry-run=client", NO_CLUSTER, "NOTES:", "readyz"
        ),
    ]


PAGES = {
    "README.md": [
        cargo("cargo run -- demo", "http://127.0.0.1:8080/mcp"),
        cargo(
            "cargo run -- demo --upstream http://127.0.0.1:3000/mcp --write gatepost.yaml",
            "http://127.0.0.1:8080/mcp",
            then="gatepost check --config gatepost.yaml",
        ),
        cargo("cargo run -- run --config config/minimal.yaml", "127.0.0.1:8080"),
        run("curl -i http://127.0.0.1:8080/mcp", "^HTTP/1.1 401", "resource_metadata="),
        run(
            "curl http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp",
            '"resource": ?"http://127.0.0.1:8080/mcp"',
        ),
        named("cargo test", "a step of .ci/run"),
    ],
    "docs/issuers/oidc.md": [
        run("work=$(mktemp -d)"),
        run("gatepost demo --upstream http://127.0.0.1:3000/mcp --listen 127.0.0.1:8090 >$work/demo & issuer=$!"),
        run(
            "curl -fsS --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:9000/.well-known/oauth-authorization-server",
            '"registration_endpoint"',
            '"S256"',
        ),
        run("curl -fsS http://127.0.0.1:9000/.well-known/openid-configuration", '"jwks_uri"'),
        run("gatepost check --config config/issuers/oidc.yaml", "oidc.yaml: ok"),
        run("gatepost run --config config/issuers/oidc.yaml >$work/audit 2>$work/log & gateway=$!"),
        run(
            "curl -sS -i --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:8080/mcp",
            "^HTTP/1.1 401",
            "resource_metadata=",
        ),
        run("curl -fsS http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp", "http://127.0.0.1:9000"),
        run("token=$(sed -n 's/^READER=//p' $work/demo)", then='test -n "$token"'),
        run(
            'echo "$token" | gatepost token decode --config config/issuers/oidc.yaml --route local',
            "mcp:read",
            needs="token",
        ),
        run(
            """curl -sS -i http://127.0.0.1:8080/mcp -H "Authorization: Bearer $token" -H 'Content-Type: application/json' """
            """-H 'Accept: application/json, text/event-stream' """
            """-d '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_note"}}'""",
            "^HTTP/1.1 502",
            "upstream_unreachable",
        ),
        run(
            """curl -sS -i http://127.0.0.1:8080/mcp -H "Authorization: Bearer $token" -H 'Content-Type: application/json' """
            """-H 'Accept: application/json, text/event-stream' """
            """-d '{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "delete_note"}}'""",
            "^HTTP/1.1 403",
            "insufficient_scope",
            "mcp:write",
        ),
        run("cat $work/audit", '"insufficient_scope"', '"upstream_unreachable"'),
        run("kill $gateway $issuer"),
        run("wait", status=None),
    ],
    "deploy/README.md": [
        instead(
            "cargo build --locked --release --no-default-features",
            "mkdir -p target/release && cp $GATEPOST target/release/gatepost",
            "the optimising compiler takes minutes: .ci/run and `tests/deploy/run --build` run it",
        ),
        run("export PATH=$PWD/target/release:$PATH"),
        run("gatepost --version", r"^gatepost \d"),
        named(
            "docker build -f deploy/Dockerfile -t registry.example.com/gatepost:0.1.0 .",
            "tests/deploy/image.py goes through its steps",
        ),
        named("docker push registry.example.com/gatepost:0.1.0", NO_ENGINE),
        secret("notes"),
        # Beside one server. The plain file's own gateway runs, as in its pod.
        namespace("notes"),
        secret("notes"),
        instead(
            "kubectl --namespace notes create secret tls notes-tls --cert=tls.crt --key=tls.key",
            "kubectl --namespace notes create secret tls notes-tls --cert=tls.crt --key=tls.key --dry-run=client -o yaml",
            NO_CLUSTER,
            "type: kubernetes.io/tls",
        ),
        run(
            "deploy/check deploy/kubernetes-sidecar.yaml",
            "Deployment/notes: gatepost.yaml: ok",
            "https://notes.example.com/mcp -> http://127.0.0.1:3000/mcp",
        ),
        instead(
            "kubectl --namespace notes apply -f deploy/kubernetes-sidecar.yaml",
            POD.format("deploy/kubernetes-sidecar.yaml"),
            NO_CLUSTER,
        ),
        instead("kubectl --namespace notes rollout status deployment/notes", ANSWERS, NO_CLUSTER),
        named(
            "kubectl --namespace notes port-forward deployment/notes 9090 8443 &", "its gateway has these ports here"
        ),
        run("curl http://127.0.0.1:9090/readyz", "https://auth.example.com/realms/acme"),
        run(
            "curl -k -i -H 'Host: notes.example.com' https://127.0.0.1:8443/mcp",
            "^HTTP/2 401",
            "notes.example.com/.well-known",
            then="kill $gateway && wait $gateway",
        ),
        named(
            "ip=$(kubectl --namespace notes get pods -l app=notes -o jsonpath='{.items[0].status.podIP}')", NO_CLUSTER
        ),
        named(
            "kubectl run look --rm -i --restart=Never --image=busybox:1.36 -- wget -T 3 -O - http://$ip:3000/mcp",
            NO_CLUSTER,
        ),
        *kustomized("sidecar", "-> http://127.0.0.1:3000/mcp"),
        *installed("notes", "notes", "deploy/helm/sidecar.yaml", "-> http://127.0.0.1:3000/mcp"),
        # Shared.
        namespace("mcp"),
        secret("mcp"),
        run("helm lint --strict deploy/helm/gatepost --values deploy/helm/shared.yaml", "0 chart.s. failed"),
        *installed("gatepost", "mcp", "deploy/helm/shared.yaml", "TLS is ended in front"),
        named("kubectl --namespace mcp rollout status deployment/gatepost", NO_CLUSTER),
        *kustomized("shared", "TLS is ended in front"),
        # Compose.
        run("cd deploy"),
        run("(umask 077; openssl rand -hex 32 >compose/session.key)"),
        run(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost "
            "-addext subjectAltName=DNS:localhost -keyout compose/tls.key -out compose/tls.crt"
        ),
        run("gatepost check --config compose/gatepost.yaml", "compose/gatepost.yaml: ok"),
        run("export GATEPOST_USER=$(id -u):$(id -g) MCP_IMAGE=registry.example.com/notes-mcp:1.4.2"),
        instead(
            "docker compose config --quiet", "docker-compose config --quiet", "the same program, by its other name"
        ),
        instead(
            "docker compose up --build --detach",
            "gatepost run --config compose/gatepost.yaml >/dev/null 2>&1 & gateway=$!",
            NO_ENGINE,
        ),
        run(
            "curl --cacert compose/tls.crt -i --retry 20 --retry-delay 1 --retry-connrefused https://localhost:8443/mcp",
            "^HTTP/2 401",
            "resource_metadata=",
            then="kill $gateway",
        ),
        run("cd .."),
        # systemd.
        run("install -D -m 755 target/release/gatepost /usr/local/bin/gatepost"),
        run("install -D -m 644 deploy/systemd/gatepost.service /etc/systemd/system/gatepost.service"),
        run("useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gatepost"),
        run("install -d -m 750 -g gatepost /etc/gatepost"),
        run("install -m 640 -g gatepost config/minimal.yaml /etc/gatepost/gatepost.yaml"),
        run("gatepost check --config /etc/gatepost/gatepost.yaml", "gatepost.yaml: ok"),
        run("systemd-analyze verify /etc/systemd/system/gatepost.service"),
        instead(
            "systemctl enable --now gatepost",
            "setpriv --reuid gatepost --regid gatepost --clear-groups --no-new-privs "
            "/usr/local/bin/gatepost run --config /etc/gatepost/gatepost.yaml >/dev/null 2>&1 & gateway=$!",
            "there is no systemd running here; the unit's user runs it",
            then="curl -sS -o /dev/null --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:8080/mcp && kill $gateway",
        ),
        named("journalctl --unit gatepost --follow", "there is no journal here"),
    ],
}


def commands(page):
    """The commands of a page's console blocks: what stands behind a prompt, `$` or root's `#`, with its continued lines."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S):
        for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
            if re.match(r"[$#] ", line):
                found.append(line[2:])
    return found


class Shell:
    """One bash, which is given one command after the other."""

    def __init__(self, folder):
        self.folder, self.text, self.number, self.serving = folder, "", 0, None
        self.lock = threading.Condition()
        self.bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self.read, daemon=True).start()
        check = f'python3 {ROOT}/tests/walk/lay_out.py "$@"'
        self.do(f"lay_out() {{ {check}; }}; pod=$(mktemp -d)", SECONDS)

    def read(self):
        for line in self.bash.stdout:
            with self.lock:
                self.text += line
                self.lock.notify_all()

    def until(self, there, seconds):
        with self.lock:
            return self.lock.wait_for(lambda: there(self.text), seconds)

    def do(self, command, seconds):
        """Runs it to its end; gives its exit status, or None, and what it said."""
        self.number += 1
        marker = f"{self.number} of the walk ended with "
        file = self.folder / f"{self.number}"
        file.write_text(command + "\n")
        with self.lock:
            self.text = ""
        self.bash.stdin.write(f"source {file}; echo; echo {marker}$?\n")
        ended = self.until(lambda text: re.search(f"^{marker}\\d+$", text, re.M), seconds)
        with self.lock:
            said, _, status = self.text.partition(marker)
        return (int(status) if ended else None), said

    def serve(self, command, says, seconds):
        """Starts it in a process group of its own, and waits until it has said that; gives whether it has, and what it said."""
        self.stop()
        with self.lock:
            self.text = ""
        self.bash.stdin.write(f"setsid {command} &\nserving=$!\necho serving is $!\n")
        self.until(lambda text: "serving is " in text, SECONDS)
        self.serving = int(re.search(r"serving is (\d+)", self.text)[1])
        fine = self.until(lambda text: all(re.search(each, text, re.M) for each in says), seconds)
        return fine, self.text

    def stop(self):
        if self.serving:
            # Not SIGINT, which a shell's background has it ignore.
            os.killpg(self.serving, signal.SIGTERM)
            self.do("wait $serving", SECONDS)
        self.serving = None

    def close(self):
        self.stop()
        self.bash.stdin.close()
        self.bash.wait(SECONDS)


def walk(page, steps, counts):
    found = commands(page)
    expected = [step.command for step in steps]
    for command in found:
        if command not in expected:
            yield f"{page}: neither run nor named: {command}"
    for command in expected:
        if command not in found:
            yield f"{page}: it does not have: {command}"
    if found != expected:
        yield f"{page}: its commands are not those of the walk, in its order"
        return
    with tempfile.TemporaryDirectory() as folder:
        shell = Shell(Path(folder))
        for step in steps:
            began = time.monotonic()
            if step.instead is None and step.why:
                counts["named"] += 1
                print(f"named    {step.command}\n         {step.why}", flush=True)
                continue
            if step.needs and not knows(step.needs):
                counts["not known"] += 1
                print(f"NOT RUN  {step.command}\n         this gateway has no command `{step.needs}`", flush=True)
                continue
            command = step.instead or step.command
            if step.serves:
                fine, said = shell.serve(command, step.says, step.seconds)
                wrong = [] if fine else ["it did not say what it should"]
            else:
                status, said = shell.do(command, step.seconds)
                wrong = [] if step.status in (None, status) and status is not None else [f"it ended with {status}"]
                wrong += [f"it does not say {each}" for each in step.says if not re.search(each, said, re.M)]
            if step.then and not wrong:
                status, after = shell.do(step.then, SECONDS)
                wrong += [f"`{step.then}` ended with {status}: {after}"] if status else []
            counts["in its place" if step.instead else "run"] += 1
            print(
                f"{'instead' if step.instead else 'ok':8} {step.command}  ({time.monotonic() - began:.1f} s)",
                flush=True,
            )
            if step.instead:
                print(f"         {step.why}: {step.instead}", flush=True)
            if wrong:
                yield f"{page}: {step.command}: {'; '.join(wrong)}\n{said}"
                break
        shell.close()


def knows(command):
    said = subprocess.run([os.environ["GATEPOST"], "--help"], text=True, capture_output=True).stdout
    return re.search(rf"^  {command}\b", said, re.M)


def prepared(scratch):
    """The network is loopback alone, and nothing that is written stays: neither here nor in the system's folders."""
    with socket.socket() as plain:
        fcntl.ioctl(plain, 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))  # SIOCSIFFLAGS: up, running
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", scratch], check=True)
    for number, place in enumerate([ROOT, Path("/etc"), Path("/usr/local")]):
        upper, work = (Path(scratch) / f"{number}-{name}" for name in ("upper", "work"))
        upper.mkdir()
        work.mkdir()
        options = f"lowerdir={place},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, place], check=True)
    os.chdir(ROOT)
    # As the pages presume: the gateway is on the PATH, and there is a certificate of one's own.
    bin_folder = Path(scratch) / "bin"
    bin_folder.mkdir()
    (bin_folder / "gatepost").symlink_to(os.environ["GATEPOST"])
    home = Path(scratch) / "home"
    home.mkdir()
    os.environ.update(
        PATH=f"{bin_folder}:{os.environ['PATH']}",
        CARGO_NET_OFFLINE="true",
        CARGO_HOME=os.environ.get("CARGO_HOME", str(Path.home() / ".cargo")),
        RUSTUP_HOME=os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
        HOME=str(home),
    )
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name == "KUBECONFIG"]:
        del os.environ[name]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=notes.example.com", "-out", "tls.crt", "-keyout", "tls.key"],
        check=True,
        capture_output=True,
    )


def main():
    faults = []
    counts = {"run": 0, "in its place": 0, "named": 0, "not known": 0}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            prepared(scratch)
            for page, steps in PAGES.items():
                print(f"-- {page}", flush=True)
                for fault in walk(page, steps, counts):
                    faults.append(fault)
                    print(f"\nFAILED {fault}", flush=True)
        finally:
            os.chdir("/")
            for place in (ROOT, "/etc", "/usr/local", scratch):
                subprocess.run(["umount", "--lazy", place])
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    print(f"{counts['run'] + counts['in its place']} passed, {len(faults)} failed")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
