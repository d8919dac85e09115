"""Runs the commands of testdata/cluster/kubernetes.yaml as Kubernetes would, and compares the rankings.

    kubernetes.py path/to/indexrank

Validates the manifest against the schemas of two versions of Kubernetes. Then each container runs in a
mount namespace of its own, as its user, with a read-only root and the claim as a folder. One Pod of the
Indexed Job is terminated; the merge must refuse until the shard is there. Needs root and unshare.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import kubernetes_validate
import yaml

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
MANIFEST = pathlib.Path(__file__).parent.parent / "testdata/cluster/kubernetes.yaml"
VERSIONS = ["1.29", "1.37"]  # the oldest that the manifest names, and the newest of the validator
RANKINGS = ["price.json", "pe.json", "growth.json", "potential_profit.json"]
TERMINATED = 2  # the index of the Pod that is terminated
PAGES = 100_000  # bytes of a journal with about three pages
RPS = 80  # of the whole job: a shard takes seven seconds, time enough to terminate it

# The mounts of a container. $1: the program, $2: the claim, $3: where the Pod mounts it.
CONTAINER = """
mount -t tmpfs tmpfs /usr/local/bin
cp "$1" /usr/local/bin/indexrank
mount -t tmpfs tmpfs "$(dirname "$3")"
mkdir "$3"
mount --bind "$2" "$3"
mount -o remount,bind,ro /
shift 3
cd /
exec "$@"
"""


class Job:
    """A Job of the manifest, whose Pods run with these settings instead of those of the ConfigMap."""

    def __init__(self, resource, settings, claim):
        self.spec = resource["spec"]
        self.pod = self.spec["template"]["spec"]
        [self.container] = self.pod["containers"]
        assert self.container["envFrom"] == [{"configMapRef": {"name": "indexrank"}}]
        [self.mount] = self.container["volumeMounts"]
        self.settings = settings
        self.claim = claim

    def start(self, index=None):
        """Starts a Pod; of an Indexed Job, the one with this index, counted from 0."""
        user = self.pod["securityContext"]
        assert self.container["securityContext"]["readOnlyRootFilesystem"] and user["runAsNonRoot"]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **self.settings}
        if index is not None:
            environment["JOB_COMPLETION_INDEX"] = str(index)
        mounts = ["unshare", "--mount", "sh", "-euc", CONTAINER, "sh", PROGRAM, self.claim, self.mount["mountPath"]]
        drop = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups"]
        drop += [f"--reuid={user['runAsUser']}", f"--regid={user['runAsGroup']}"]
        return subprocess.Popen(
            [*mounts, *drop, *self.container["command"]], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, index=None):
        """Runs a Pod to its end. Returns its exit code and what it logs."""
        return end(self.start(index))

    def action(self, code, is_evicted=False):
        """What the first rule for a Pod that ends with this code does; another attempt without a rule."""
        for rule in self.spec["podFailurePolicy"]["rules"]:
            codes = rule.get("onExitCodes")
            if codes is None:
                assert rule["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}], rule
                applies = is_evicted
            else:
                assert codes["containerName"] == self.container["name"]
                applies = (code in codes["values"]) == (codes["operator"] == "In")
            if applies:
                return rule["action"]
        return "Count"


def end(process):
    out, errors = process.communicate(timeout=180)
    return process.returncode, out + errors


def load(claim, source):
    """The two Jobs, with `source` as their server. Checks what no schema knows."""
    resources = list(yaml.safe_load_all(MANIFEST.read_text()))
    for resource in resources:
        for version in VERSIONS:
            kubernetes_validate.validate(resource, version, strict=True)
    by_name = {(resource["kind"], resource["metadata"]["name"]): resource for resource in resources}
    assert len(by_name) == 4, by_name.keys()
    settings = by_name["ConfigMap", "indexrank"]["data"]
    assert all(isinstance(value, str) for value in settings.values()), settings
    for name in "SOURCE", "RPS":
        assert name in settings, settings
    shards = by_name["Job", "indexrank-shards"]
    assert shards["spec"]["completionMode"] == "Indexed"
    assert shards["spec"]["completions"] == int(settings["SHARDS"])
    settings = {**settings, "SOURCE": source, "RPS": str(RPS)}
    jobs = [Job(by_name["Job", name], settings, claim) for name in ("indexrank-shards", "indexrank-merge")]
    for job in jobs:
        [volume] = job.pod["volumes"]
        assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in by_name, volume
        assert settings["FOLDER"].startswith(job.mount["mountPath"] + "/"), settings
        assert job.pod["restartPolicy"] == "Never"  # as podFailurePolicy requires
    return jobs, settings


def make_claim(claim, group):
    """Makes a folder like a claim that the kubelet has mounted: the group of the Pod may write."""
    claim.mkdir()
    os.chown(claim, 0, group)
    claim.chmod(0o2775)
    return claim


def run_shards(job, results):
    """Runs all Pods at once and terminates one of them when its journal has pages."""
    pods = [job.start(index) for index in range(job.spec["completions"])]
    journal = results / f"unfinished-shard-{TERMINATED + 1}.warc.gz"
    deadline = time.monotonic() + 60
    while not journal.exists() or journal.stat().st_size < PAGES:
        assert time.monotonic() < deadline and pods[TERMINATED].poll() is None, end(pods[TERMINATED])
        time.sleep(0.05)
    pods[TERMINATED].send_signal(signal.SIGTERM)
    for index, pod in enumerate(pods):
        code, log = end(pod)
        assert code == (143 if index == TERMINATED else 0), (index, code, log)
        assert (job.action(code), job.action(code, is_evicted=True), job.action(2)) == ("Count", "Ignore", "FailJob")
    assert journal.exists()


def check(folder, source):
    claim = folder / "claim"
    (shards, merge), settings = load(claim, source)
    make_claim(claim, shards.pod["securityContext"]["fsGroup"])
    results = claim / pathlib.Path(settings["FOLDER"]).relative_to(shards.mount["mountPath"])

    code, log = merge.run()
    assert code == 4 and "shard" in log, (code, log)  # as at the start, when no shard is there
    run_shards(shards, results)
    code, log = merge.run()
    assert code == 4 and f"shard {TERMINATED + 1}" in log, (code, log)
    assert (merge.action(4), merge.action(143, is_evicted=True), merge.action(2)) == ("Count", "Ignore", "FailJob")
    assert not (results / "rankings").exists()

    code, log = shards.run(TERMINATED)
    assert code == 0, (code, log)
    report = json.loads((results / f"shard-{TERMINATED + 1}" / "run.json").read_text())
    assert report["resumed"] > 0, report
    code, log = shards.run(TERMINATED)
    assert code == 0 and log.startswith(f"shard {TERMINATED + 1} has its recording"), (code, log)
    code, log = merge.run()
    assert code == 0, (code, log)

    single = folder / "single"
    subprocess.run([PROGRAM, "-q", "--from", source, "--out", single], check=True)
    for name in RANKINGS:
        assert (results / "rankings" / name).read_bytes() == (single / name).read_bytes(), name


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="indexrank-kubernetes-"))
    server = subprocess.Popen([PROGRAM, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        check(folder, server.stdout.readline().strip())
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)
    print("the commands of the Kubernetes manifest give the rankings of a single run")


main()
