//! A cluster of one node: munged, slurmctld and slurmd, with all their files in a temporary folder.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than any step of the tests takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// The key of munge, in bytes: munged refuses fewer than 32.
const KEY: [u8; 128] = [7; 128];

/// Dropping it cancels all jobs and stops the daemons.
pub struct Slurm {
    folder: TempDir,
    daemons: Vec<Child>,
}

/// How a job, or one task of an array job, has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// As Slurm names it: COMPLETED, FAILED, CANCELLED.
    pub state: String,
    /// Exit code and signal: `4:0`.
    pub exit: String,
}

impl Slurm {
    /// Starts the daemons and waits until the node accepts jobs.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["state", "spool"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(
            folder.path().join("slurm.conf"),
            configuration(folder.path()),
        )
        .unwrap();
        let mut key = fs::OpenOptions::new();
        let key = key.write(true).create_new(true).mode(0o600);
        let mut key = key.open(folder.path().join("key")).unwrap();
        key.write_all(&KEY).unwrap();

        let mut slurm = Slurm {
            folder,
            daemons: Vec::new(),
        };
        let file = |name: &str, path: &str| format!("--{name}={}", slurm.path(path));
        let munged = [
            "--foreground".to_owned(),
            "--force".to_owned(), // although other users cannot reach the socket
            file("key-file", "key"),
            file("socket", "socket"),
            file("pid-file", "munged.pid"),
            file("seed-file", "seed"),
            file("log-file", "munged.log"),
        ];
        slurm.spawn("munged", munged);
        wait_for("the socket of munged", || {
            slurm.folder.path().join("socket").exists()
        });
        slurm.spawn("slurmctld", ["-D", "-c"]);
        slurm.spawn("slurmd", ["-D", "-N", "node"]);
        wait_for("an idle node", || {
            let mut sinfo = slurm.command("sinfo");
            let output = sinfo.args(["-h", "-o", "%T"]).output().unwrap();
            output.stdout == b"idle\n"
        });
        slurm
    }

    /// Prepares a command that uses this cluster.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("SLURM_CONF", self.folder.path().join("slurm.conf"))
            .stdin(Stdio::null());
        command
    }

    /// Waits until a job or a task, `12` or `12_3`, has ended.
    pub fn wait(&self, job: &str) -> Ended {
        let mut ended = None;
        wait_for(&format!("the end of job {job}"), || {
            ended = self.ended(job);
            ended.is_some()
        });
        ended.unwrap()
    }

    /// `None` while the job waits, runs, or its processes are being ended.
    fn ended(&self, job: &str) -> Option<Ended> {
        let mut scontrol = self.command("scontrol");
        let output = scontrol.args(["-o", "show", "job", job]).output().unwrap();
        assert!(output.status.success(), "{job}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let field = |name: &str| {
            let mut words = text.split_whitespace();
            words.find_map(|word| Some(word.strip_prefix(name)?.to_owned()))
        };
        let state = field("JobState=").unwrap();
        let still = ["PENDING", "CONFIGURING", "RUNNING", "COMPLETING"];
        (!still.contains(&state.as_str()) && !text.contains("COMPLETING")).then(|| Ended {
            state,
            exit: field("ExitCode=").unwrap(),
        })
    }

    fn spawn<S: AsRef<std::ffi::OsStr>>(
        &mut self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) {
        let log = fs::File::create(self.path(&format!("{program}.out"))).unwrap();
        let daemon = self
            .command(&format!("/usr/sbin/{program}"))
            .args(arguments)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program}, of the package slurm-wlm or munge: {error}")
            });
        self.daemons.push(daemon);
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        if thread::panicking() {
            for log in ["munged.out", "slurmctld.out", "slurmd.out"] {
                let text = fs::read_to_string(self.path(log)).unwrap_or_default();
                eprintln!("== {log}\n{text}");
            }
        }
        // Processes of jobs are not children of the daemons: only Slurm can end them.
        let _ = self.command("scancel").args(["--user", "root"]).status();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(15) {
            let jobs = self.command("squeue").arg("-h").output();
            if jobs.is_ok_and(|jobs| jobs.stdout.is_empty()) {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Polls until the condition holds.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "waited too long for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The text of slurm.conf: eight CPUs whatever the machine has, no accounting, no cgroups.
fn configuration(folder: &Path) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim().split('.').next().unwrap().to_owned();
    // Both listeners exist at once, so the ports differ.
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (controller, node) = (free(), free());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (controller, node) = (port(&controller), port(&node));
    let folder = folder.display();
    format!(
        "ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MailProg=/bin/true
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 Port={node} CPUs=8 RealMemory=4096
PartitionName=main Nodes=node Default=YES MaxTime=INFINITE State=UP
"
    )
}
