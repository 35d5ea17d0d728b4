"""Goes through the Dockerfile without a container engine, and runs what comes of it as a cluster would: from a root that
cannot be written to, as uid 65532, without capabilities, with the files of kubernetes-sidecar.yaml at /etc/gatepost and the
kubelet's probes from outside. Exit status: 0 all of it held, 1 not.

What is not run: the pull of the two bases. The build's base is this machine, which must be of the same Debian; the image's
is put together of the Debian packages that it is made of. And, without `--build`, the optimising compiler: the build's step
is `cargo check` of exactly the files that the build would see, and the binary is GATEPOST.

Needs root (mounts, network namespaces), apt-get, openssl, curl.
"""

import importlib.machinery
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = HERE / ".cache"
DOCKERFILE = ROOT / "deploy/Dockerfile"
GATEPOST = Path(os.environ["GATEPOST"])
PACKAGES = ["libc6", "libgcc-s1", "ca-certificates"]
UID = 65532

faults = []
passed = 0


def held(what, fine, details=""):
    global passed
    passed += bool(fine)
    if not fine:
        faults.append(f"{what}: {details}")
        print(f"FAILED {what}: {details}", flush=True)


def run(*command, **options):
    done = subprocess.run(command, text=True, capture_output=True, **options)
    if done.returncode:
        sys.exit(f"{shlex.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def instructions(text):
    """[(word, the rest)] of a Dockerfile."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines()]


def context(scratch):
    """What the build gets to see, by the ignore file."""
    rules = [
        line
        for line in DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    held(
        "the ignore file lets in only what it names",
        rules[0] == "*" and all(rule.startswith("!") for rule in rules[1:]),
        rules,
    )
    tracked = run("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for file in tracked:
        if (
            any(fnmatch(file, rule[1:]) or file.startswith(f"{rule[1:]}/") for rule in rules[1:])
            and (ROOT / file).is_file()
        ):
            (scratch / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, scratch / file)


def base_of_packages():
    """The image's base: what its Debian packages hold, unpacked once."""
    folder = CACHE / "base"
    if (folder / ".whole").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archives = CACHE / "packages"
    shutil.rmtree(archives, ignore_errors=True)
    archives.mkdir()
    run("apt-get", "download", "-qq", *PACKAGES, cwd=archives)
    for archive in archives.glob("*.deb"):
        run("dpkg-deb", "-x", archive, folder)
    certificates = sorted(folder.glob("usr/share/ca-certificates/mozilla/*.crt"))
    (folder / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
    (folder / "etc/ssl/certs/ca-certificates.crt").write_text("".join(each.read_text() for each in certificates))
    (folder / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    (folder / "etc/passwd").write_text(f"nonroot:x:{UID}:{UID}:nonroot:/home/nonroot:/sbin/nologin\n")
    (folder / ".whole").touch()
    return folder


def built(scratch, really):
    """Does the Dockerfile's steps in `scratch`; gives the image's root and its settings."""
    seen = scratch / "context"
    seen.mkdir()
    context(seen)
    arguments, stages, settings = {}, {}, {}
    stage = workdir = None
    for word, rest in instructions(DOCKERFILE.read_text()):
        rest = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], rest)
        if word == "ARG":
            name, value = rest.split("=", 1)
            arguments[name] = value
        elif word == "FROM":
            base, _, name = rest.partition(" AS ")
            stage, workdir = scratch / f"stage-{len(stages)}", "/"
            if name:
                stage.mkdir()
            else:
                shutil.copytree(base_of_packages(), stage, symlinks=True)
            stages[name] = stage
            settings = {"base": base}
        elif word == "WORKDIR":
            workdir = rest
            (stage / rest.strip("/")).mkdir(parents=True)
        elif word == "COPY":
            *sources, target = rest.split()
            origin = seen
            if sources[0].startswith("--from="):
                origin = stages[sources.pop(0)[7:]]
            into = stage / (target if target.startswith("/") else f"{workdir}/{target}").strip("/")
            for source in sources:
                path = origin / source.strip("/")
                if path.is_dir():
                    shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True)
                else:
                    to = into / path.name if target.endswith("/") else into
                    to.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, to)
        elif word == "RUN":
            build_step(rest, stage, stage / workdir.strip("/"), really)
        elif word in ("USER", "EXPOSE"):
            settings[word] = rest
        elif word in ("ENTRYPOINT", "CMD"):
            settings[word] = json.loads(rest)
        elif word != "LABEL":
            sys.exit(f"{word} is not known here")
    return stage, settings


def build_step(rest, stage, folder, really):
    """The one RUN: cargo, then install. Caches are this machine's."""
    steps = [step.strip() for step in re.sub(r"--mount=\S+", "", rest).split("&&")]
    cargo = shlex.split(steps[0])
    release = ["cargo", "build", "--locked", "--release", "--no-default-features", "--bin", "gatepost"]
    held("the image's binary is the release without the demo", cargo == release, steps[0])
    if really:
        run("env", "-C", folder, *cargo)
    else:
        # With the target folder of this checkout, where what the crate needs is compiled already.
        target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
        command = ["check" if word == "build" else word for word in cargo if word != "--release"]
        run("env", "-C", folder, f"CARGO_TARGET_DIR={target}", *command)
        (folder / "target/release").mkdir(parents=True)
        shutil.copy2(GATEPOST, folder / "target/release/gatepost")
    for step in steps[1:]:
        words = [str(stage) + word if word.startswith("/") else word for word in shlex.split(step)]
        run("env", "-C", folder, *words)


def libraries(root):
    """What the binary needs of its base, and whether it is there."""
    binary = root / "usr/local/bin/gatepost"
    dynamic = run("objdump", "-p", binary)
    needed = re.findall(r"NEEDED\s+(\S+)", dynamic)
    there = {path.name for path in root.glob("**/*.so*")}
    held("the base holds every library", set(needed) <= there, set(needed) - there)
    [c_library] = root.glob("lib/*-linux-gnu/libc.so.6")
    offered = set(re.findall(r"GLIBC_[0-9.]+", run("objdump", "-T", c_library)))
    wanted = set(re.findall(r"GLIBC_[0-9.]+", dynamic))
    held("the base's C library is new enough", wanted <= offered, wanted - offered)
    return needed


def steps(really):
    scratch = CACHE / "image"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    root, settings = built(scratch, really)
    text = DOCKERFILE.read_text()
    codename = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)[1]
    numbers = {"bookworm": "debian12", "trixie": "debian13"}
    held(
        "both bases are of one Debian",
        f"-{codename}" in text and numbers[codename] in settings["base"],
        settings["base"],
    )
    pinned = re.search(r"^rustc_version=(\S+)", (ROOT / "deploy/release").read_text(), re.M)[1]
    held("the compiler is the one of releases", f"rust:{pinned}-" in text, pinned)
    held("not root", settings["USER"] == f"{UID}:{UID}", settings["USER"])
    needed = libraries(root)
    megabytes = sum(file.stat().st_size for file in (root / "usr/local").rglob("*") if file.is_file()) >> 20
    print(f"image: {settings['ENTRYPOINT'] + settings['CMD']}, {megabytes} MiB, linked with {', '.join(needed)}")
    return root, settings


# From here on in namespaces of its own: mounts, network, processes.


def kubelet(path):
    """A probe, as the kubelet makes it; gives status and text."""
    done = subprocess.run(
        ["curl", "-s", "--noproxy", "*", "-m", "3", "-w", "\n%{http_code}", f"http://127.0.0.1:9090{path}"],
        text=True,
        capture_output=True,
    )
    text, _, status = done.stdout.rpartition("\n")
    return int(status or 0), text


def client(path, *more):
    done = subprocess.run(
        ["curl", "-s", "-i", "-k", "--noproxy", "*", "-m", "5", "--resolve", "notes.example.com:8443:127.0.0.1", *more]
        + ["-H", "Host: notes.example.com", f"https://notes.example.com:8443{path}"],
        text=True,
        capture_output=True,
    )
    return done.stdout


def until(attempt, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if attempt():
            return True
        time.sleep(0.05)
    return False


def served(root, settings):
    import fcntl
    import socket
    import struct

    with socket.socket() as plain:
        fcntl.ioctl(plain, 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))  # SIOCSIFFLAGS: up, running
    loader = importlib.machinery.SourceFileLoader("check", str(ROOT / "deploy/check"))
    check = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", loader))
    loader.exec_module(check)
    documents = list(yaml.safe_load_all((ROOT / "deploy/kubernetes-sidecar.yaml").read_text()))
    [(_, container, pod)] = check.gateways(documents)

    scratch = CACHE / "run"
    shutil.rmtree(scratch, ignore_errors=True)
    mounted = scratch / "gatepost"
    mounted.mkdir(parents=True)
    check.laid_out(container, pod, documents, mounted, check.StandIns(scratch))
    subprocess.run(["chmod", "-R", "a+rX", mounted], check=True)

    # The container's root: nothing of it can be written to.
    inside = root / "etc/gatepost"
    inside.mkdir(parents=True, exist_ok=True)
    (root / "proc").mkdir(exist_ok=True)
    for source, target in ((root, root), (mounted, inside)):
        run("mount", "--bind", source, target)
        run("mount", "-o", "remount,bind,ro,nosuid,nodev", target)
    run("mount", "-t", "proc", "-o", "ro,nosuid,nodev,noexec", "proc", root / "proc")

    command = [
        shutil.which("setpriv"),
        "--no-new-privs",
        "--bounding-set=-all,+sys_chroot,+setuid,+setgid",
        shutil.which("chroot"),
    ]
    command += [f"--userspec={UID}:{UID}", "--groups=", root, *settings["ENTRYPOINT"]]
    arguments = container.get("args", settings["CMD"])
    log = open(scratch / "log", "w")
    gateway = subprocess.Popen([*command, *arguments], env={}, stdout=log, stderr=log)
    try:
        up = until(lambda: kubelet("/livez")[0] == 200)
        held("it runs, and the kubelet's startup probe finds it", up, (scratch / "log").read_text())
        if not up:
            return
        status = Path(f"/proc/{gateway.pid}/status").read_text()
        ids = re.search(r"^Uid:\s+(.*)$", status, re.M)[1].split()
        held("as another user", set(ids) == {str(UID)}, ids)
        held(
            "without a capability",
            re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^CapPrm:\s+0+$", status, re.M),
            status,
        )
        mounts = [line.split() for line in Path(f"/proc/{gateway.pid}/mountinfo").read_text().splitlines()]
        own = [(each[4], each[5]) for each in mounts]
        held("nothing that it sees can be written to", own and all("ro" in flags.split(",") for _, flags in own), own)
        held(
            "its root is the image's",
            os.readlink(f"/proc/{gateway.pid}/root") == str(root),
            os.readlink(f"/proc/{gateway.pid}/root"),
        )

        ready = kubelet("/readyz")
        held(
            "not ready without keys, and it says of which issuer",
            ready[0] == 503 and "auth.example.com" in ready[1],
            ready,
        )
        document = client("/.well-known/oauth-protected-resource/mcp")
        held("a client finds the resource", '"https://notes.example.com/mcp"' in document, document)
        answer = client("/mcp", "-d", "{}")
        held("and is asked for a token", answer.startswith("HTTP/2 401") and "resource_metadata" in answer, answer)

        # A ConfigMap that changes: the whole folder is another one. The issuer's keys now come from a file.
        text = (mounted / "gatepost.yaml").read_text()
        keys = {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k1", "use": "sig"}
        keys |= {"x": "SMhTg3JxMcoSJpBUHVOALVRbsy1mfNjt0sbVZhmSwM8", "y": "Wu6r2kXxgIgIX1dkEJnNGOhz7I5SxB-HtX_HgojxuYY"}
        (mounted / "jwks.json").write_text(json.dumps({"keys": [keys]}))
        (mounted / ".new").write_text(text.replace("realms/acme\n", "realms/acme\n    jwks_file: jwks.json\n"))
        os.chmod(mounted / ".new", 0o444)
        os.chmod(mounted / "jwks.json", 0o444)
        os.rename(mounted / ".new", mounted / "gatepost.yaml")
        held(
            "a changed file is in force by itself, and it is ready",
            until(lambda: kubelet("/readyz")[0] == 200),
            (scratch / "log").read_text(),
        )
        metrics = kubelet("/metrics")[1]
        held("it sees its own process", "process_open_fds" in metrics, metrics)

        gateway.send_signal(signal.SIGTERM)
        gateway.wait(pod["terminationGracePeriodSeconds"])
        held("it stops cleanly", gateway.returncode == 0, gateway.returncode)
        said = (scratch / "log").read_text()
        held("it says nothing of what it cannot do", "denied" not in said and "panic" not in said, said)
    finally:
        gateway.kill()
    traced(scratch, mounted)


def traced(scratch, mounted):
    """Whether the systemd unit lets it do what it does: every system call, every family of sockets."""
    unit = (ROOT / "deploy/systemd/gatepost.service").read_text()
    calls = scratch / "calls"
    strace = os.environ["STRACE"].split()
    gateway = subprocess.Popen(
        [*strace, "-f", "-qq", "-o", calls, GATEPOST, "run", "--config", mounted / "gatepost.yaml"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        held("it runs, traced", until(lambda: kubelet("/readyz")[0] == 200, 20))
        client("/mcp", "-d", "{}")
        # An issuer whose name has to be resolved.
        text = (mounted / "gatepost.yaml").read_text()
        (mounted / ".new").write_text(text.replace("    jwks_file: jwks.json\n", ""))
        os.rename(mounted / ".new", mounted / "gatepost.yaml")
        held("a changed file is read, traced", until(lambda: kubelet("/readyz")[0] == 503, 20))
        kubelet("/metrics")
        time.sleep(1)
        [pid] = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
        os.kill(int(pid), signal.SIGTERM)
        gateway.wait(30)
    finally:
        gateway.kill()
    text = calls.read_text()
    # Before it runs itself, strace's child does one thing and another.
    made = set(re.findall(r"^\d+ +(\w+)\(", text[text.index("execve(") :], re.M))
    held(
        "every system call that it makes is in the unit's filter",
        made <= allowed_calls(unit),
        sorted(made - allowed_calls(unit)),
    )
    families = set(re.findall(r"socket\((AF_\w+)", text))
    granted = set(re.search(r"^RestrictAddressFamilies=(.*)$", unit, re.M)[1].split())
    held("every family of sockets is in the unit's", families <= granted, families - granted)
    both = re.findall(r"^.*(?:mmap|mprotect)\(.*PROT_WRITE\|PROT_EXEC.*$", text, re.M)
    held("no memory is written to and executed", not both, both[:2])
    print(f"traced: {len(made)} system calls, sockets of {', '.join(sorted(families))}")


def allowed_calls(unit):
    def group(name):
        if not name.startswith("@"):
            return {name}
        lines = run("systemd-analyze", "syscall-filter", "--no-pager", name).splitlines()[1:]
        return set().union(
            *(group(line.strip()) for line in lines if line.strip() and not line.strip().startswith("#"))
        )

    allowed = set()
    for value in re.findall(r"^SystemCallFilter=(.*)$", unit, re.M):
        named = set().union(*map(group, value.removeprefix("~").split()))
        # What a unit cannot take from itself: systemd executes it.
        allowed = allowed - named if value.startswith("~") else allowed | named
    return allowed | group("@default")


def finish():
    print(f"{passed} passed, {len(faults)} failed")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        served(Path(sys.argv[2]), json.loads(sys.argv[3]))
        finish()
    root, settings = steps("--build" in sys.argv)
    inside = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    inside += [sys.executable, __file__, "--inside", root, json.dumps(settings)]
    done = subprocess.run(inside)
    if done.returncode:
        faults.append("what it does from its image")
    finish()
