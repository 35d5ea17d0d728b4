"""Renders the chart with every values file and every kustomization, and holds each rendering, and the plain file, against:
the schemas of Kubernetes (the oldest version that the chart names, and a new one) and of the custom resources; the linter; what
this project promises of a gateway in a cluster (`promises`); and `gatepost check` of the file in it. Then the values that must
be refused. Exit status: 0 all of it held, 1 not.

Takes the folder with helm and kubectl; GATEPOST names the gateway's binary.
"""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent
DEPLOY = HERE.parent.parent / "deploy"
CHART = DEPLOY / "helm/gatepost"
PROGRAMS = Path(sys.argv[1])
SCRATCH = HERE / ".cache/rendered"
VERSIONS = ["1.30", "1.34"]
CUSTOM = {"HTTPRoute", "ServiceMonitor"}

loader = importlib.machinery.SourceFileLoader("check", str(DEPLOY / "check"))
check = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", loader))
loader.exec_module(check)


def helm(*arguments):
    return subprocess.run([PROGRAMS / "helm", *arguments], text=True, capture_output=True)


def template(*arguments):
    return helm("template", "gatepost", CHART, "--namespace", "mcp", "--kube-version", VERSIONS[0], *arguments)


def renderings():
    """(name, its text) of all that can be deployed."""
    values = sorted(DEPLOY.glob("helm/*.yaml")) + sorted(HERE.glob("values/*.yaml"))
    for file in values:
        yield f"helm-{file.stem}", template("--values", file)
    for kustomization in sorted(DEPLOY.glob("kustomize/**/kustomization.yaml")):
        if "kind: Component" not in kustomization.read_text():
            done = subprocess.run(
                [PROGRAMS / "kubectl", "kustomize", kustomization.parent], text=True, capture_output=True
            )
            yield f"kustomize-{kustomization.parent.name}", done
    plain = (DEPLOY / "kubernetes-sidecar.yaml").read_text()
    yield "plain", subprocess.CompletedProcess([], 0, plain, "")


def labels_fit(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def promises(documents):
    """What is promised of a gateway in a cluster, and does not hold."""
    of = lambda kind: [each for each in documents if each["kind"] == kind]
    found = list(check.gateways(documents))
    if len(found) != 1:
        yield f"{len(found)} gateways"
        return
    [(holder, gateway, pod)] = found
    [deployment] = of("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    sidecar = gateway in pod.get("initContainers", [])
    [config] = [each["data"]["gatepost.yaml"] for each in of("ConfigMap") if "gatepost.yaml" in each["data"]]
    file = yaml.safe_load(config)
    port, admin = (int(each.rsplit(":", 1)[1]) for each in (file["listen"], file["admin"]["listen"]))
    ports = {each["name"]: each["containerPort"] for each in gateway["ports"]}

    # Nothing of a secret is in a manifest.
    if of("Secret"):
        yield "a Secret stands in the manifests"
    for each in of("ConfigMap"):
        if "PRIVATE KEY" in str(each["data"]):
            yield "a private key stands in a ConfigMap"
    for variable in gateway.get("env", []):
        if "TOKEN" in variable["name"] and "value" in variable:
            yield f"{variable['name']} stands in the manifest"

    # The container.
    context = gateway["securityContext"] | {
        key: value for key, value in pod.get("securityContext", {}).items() if key not in gateway["securityContext"]
    }
    for key, value in {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }.items():
        if context.get(key) != value:
            yield f"securityContext.{key} is {context.get(key)}"
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if pod.get(key):
            yield f"the pod has {key}"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the token of the service account is mounted"
    for mount in gateway["volumeMounts"]:
        if "subPath" in mount or not mount.get("readOnly"):
            yield f"the mount of {mount['mountPath']} is a subPath, or can be written to"
    if not gateway["resources"]["limits"].get("memory"):
        yield "memory has no limit"

    # Ports and probes.
    if ports != {"mcp": port, "admin": admin}:
        yield f"the file has ports {port} and {admin}, the container {ports}"
    alone = file["admin"]["listen"].startswith("127.")
    for probe, path in {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}.items():
        asked = {key: value for key, value in gateway.get(probe, {}).items() if key in ("httpGet", "tcpSocket", "exec")}
        # The kubelet comes to the pod's address.
        if asked != ({"tcpSocket": {"port": "mcp"}} if alone else {"httpGet": {"path": path, "port": "admin"}}):
            yield f"{probe} asks {asked}"

    # The end.
    drain = {"delay_secs": 5, "grace_secs": 20} | file.get("drain", {})
    needed = drain["delay_secs"] + drain["grace_secs"]
    if sidecar:
        if gateway.get("restartPolicy") != "Always":
            yield "the sidecar does not run beside its server"
        stays = [
            server.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds")
            for server in pod["containers"]
        ]
        if None in stays:
            yield "a server stops at once, while clients still come"
        needed += max(each or 0 for each in stays)
    if pod["terminationGracePeriodSeconds"] <= needed:
        yield f"terminationGracePeriodSeconds {pod['terminationGracePeriodSeconds']} is no longer than {needed}"

    # No way round it.
    for service in of("Service"):
        if not labels_fit(service["spec"].get("selector"), labels):
            yield f"Service {service['metadata']['name']} selects other pods"
        for each in service["spec"]["ports"]:
            inside = service["spec"].get("clusterIP") == "None" and not alone
            if each["targetPort"] != port and not (each["targetPort"] == admin and inside):
                yield f"Service {service['metadata']['name']} leads to port {each['targetPort']}"
            if each["targetPort"] == port and each["appProtocol"] != ("http" if file["tls"] == "external" else "https"):
                yield f"Service {service['metadata']['name']} says {each['appProtocol']}"
    for container in pod["containers"] + pod.get("initContainers", []):
        if any("hostPort" in each for each in container.get("ports", [])):
            yield f"{container['name']} has a port of the node"
    policies = [
        each for each in of("NetworkPolicy") if labels_fit(each["spec"]["podSelector"].get("matchLabels"), labels)
    ]
    if len(policies) != 1:
        yield f"{len(policies)} NetworkPolicies select the gateway"
    for policy in policies:
        for rule in policy["spec"]["ingress"]:
            for each in rule["ports"]:
                if each["port"] not in (port, admin) or (each["port"] == admin and (alone or not rule.get("from"))):
                    yield f"the NetworkPolicy lets anybody come to port {each['port']}"
    for route in file["routes"] if sidecar else []:
        upstream = route["upstream"] if isinstance(route["upstream"], str) else route["upstream"]["url"]
        if not upstream.startswith(("http://127.0.0.1:", "http://localhost:", "http://[::1]:")):
            yield f"the server of {route['name']} is not on loopback"

    # Replicas, and what watches over them.
    many = of("HorizontalPodAutoscaler") or deployment["spec"].get("replicas", 1) > 1
    if many and not file.get("sessions", {}).get("keys"):
        yield "replicas share no session keys"
    if of("HorizontalPodAutoscaler") and "replicas" in deployment["spec"]:
        yield "the Deployment takes back what the autoscaler does"
    for budget in of("PodDisruptionBudget"):
        if not labels_fit(budget["spec"]["selector"].get("matchLabels"), labels):
            yield "the PodDisruptionBudget selects other pods"
    if not labels_fit(deployment["spec"]["selector"]["matchLabels"], labels):
        yield "the Deployment does not select its own pods"
    for monitor in of("ServiceMonitor"):
        services = [
            each
            for each in of("Service")
            if labels_fit(monitor["spec"]["selector"]["matchLabels"], each["metadata"].get("labels", {}))
        ]
        names = [each["name"] for service in services for each in service["spec"]["ports"]]
        if names != [monitor["spec"]["endpoints"][0]["port"]]:
            yield f"the ServiceMonitor finds the ports {names}"
    for route in of("HTTPRoute"):
        for reference in route["spec"]["rules"][0]["backendRefs"]:
            services = [each for each in of("Service") if each["metadata"]["name"] == reference["name"]]
            if [each["port"] for service in services for each in service["spec"]["ports"]] != [reference["port"]]:
                yield "the HTTPRoute leads to no port of the Service"


def schema_faults(documents):
    for document in documents:
        if document["kind"] in CUSTOM:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                yield f"{document['kind']} by Kubernetes {version}: {getattr(error, 'message', error)}"


def refused():
    """(what is wrong with values, what helm must say) of what must not be rendered."""
    least = {
        "public_url": "https://mcp.example.com",
        "authorization_servers": [{"issuer": "https://auth.example.com"}],
        "routes": [{"name": "a", "path": "/mcp", "upstream": "http://127.0.0.1:3000/mcp", "rules": []}],
    }
    server = {"containers": [{"name": "a", "image": "a:1"}]}
    alone = {"replicas": 1, "config": least}
    sidecar = alone | {"shape": "sidecar", "server": server}
    yield {}, "authorization_servers"
    yield {"config": least}, "more than one gateway needs session keys"
    yield alone | {"config": least | {"listen": "0.0.0.0:80"}}, "listen"
    yield alone | {"config": least | {"sessions": {"keys": []}}}, "sessions"
    yield alone | {"config": least | {"public_url": "http://mcp.example.com"}}, "public_url"
    yield alone | {"unheard_of": 1}, "unheard_of"
    yield alone | {"image": {"tag": "latest"}}, "/image/tag"
    yield alone | {"shape": "sidecar"}, "containers"
    yield alone | {"server": server}, "containers"
    yield alone | {"files": {"gatepost.yaml": ""}}, "gatepost.yaml"
    yield alone | {"ports": {"mcp": 9090}}, "must differ"
    yield alone | {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 1}}, "maxReplicas is less"
    yield alone | {"httpRoute": {"enabled": True}}, "parentRefs"
    yield alone | {"admin": {"listen": "loopback"}, "serviceMonitor": {"enabled": True}}, "Prometheus reaches nothing"
    yield (
        alone | {"tls": {"secretName": "a"}, "httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}]}},
        "would speak plain http",
    )
    elsewhere = [least["routes"][0] | {"upstream": {"url": "http://a-mcp:3000/mcp"}}]
    yield sidecar | {"config": least | {"routes": elsewhere}}, "is not on loopback"
    seeming = [least["routes"][0] | {"upstream": "http://localhost.example.com:3000/mcp"}]
    yield sidecar | {"config": least | {"routes": seeming}}, "is not on loopback"
    for port, said in (
        ({"containerPort": 3000, "hostPort": 3000}, "leads round"),
        ({"containerPort": 8443}, "is the gateway's"),
    ):
        container = server["containers"][0] | {"ports": [port]}
        yield sidecar | {"server": {"containers": [container]}}, said
    yield sidecar | {"networkPolicy": {"servers": [{"name": "a", "podSelector": {"a": 1}, "port": 1}]}}, "own pod"


def main():
    SCRATCH.mkdir(parents=True, exist_ok=True)
    for old in SCRATCH.iterdir():
        old.unlink()
    passed, faults = 0, []

    def held(what, wrong):
        nonlocal passed
        wrong = list(wrong)
        passed += not wrong
        faults.extend(f"{what}: {each}" for each in wrong)

    for file in sorted(DEPLOY.glob("helm/*.yaml")) + sorted(HERE.glob("values/*.yaml")):
        done = helm("lint", "--strict", "--quiet", CHART, "--values", file)
        held(f"helm lint {file.name}", [done.stdout + done.stderr] if done.returncode else [])

    rendered = {}
    for name, done in renderings():
        if done.returncode:
            held(name, [done.stderr])
            continue
        documents = [each for each in yaml.safe_load_all(done.stdout) if each]
        rendered[name] = documents
        (SCRATCH / f"{name}.yaml").write_text(done.stdout)
        (SCRATCH / f"{name}.json").write_text(json.dumps([each for each in documents if each["kind"] in CUSTOM]))
        held(f"{name}, its schemas", schema_faults(documents))
        held(f"{name}, what is promised", promises(documents))
        results = list(check.check(documents, os.environ["GATEPOST"]))
        held(
            f"{name}, gatepost check",
            [said for _, good, said in results if not good] or ([] if results else ["no gateway"]),
        )

    custom = sorted(map(str, SCRATCH.glob("*.json")))
    done = subprocess.run(["node", HERE / "crds.mjs", *custom], text=True, capture_output=True)
    held("custom resources", [done.stdout + done.stderr] if done.returncode else [])

    bad = SCRATCH / "refused.values"
    for values, said in refused():
        bad.write_text(json.dumps(values))
        done = template("--values", bad)
        fine = done.returncode != 0 and said in done.stderr
        held(f"refused values ({said})", [] if fine else [done.stderr or "they are rendered"])

    kinds = sorted({each["kind"] for documents in rendered.values() for each in documents})
    print(f"{len(rendered)} renderings of {len(kinds)} kinds: {', '.join(kinds)}")
    for fault in faults:
        print(f"FAILED {fault}")
    print(f"{passed} passed, {len(faults)} failed")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
