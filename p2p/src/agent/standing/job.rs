//! Running the operator's command for one assignment, and keeping what it prints.
//!
//! ```text
//!  jobs/<auction>/<task>-<bid>/
//!  ├── certificate.json    the command's standard input
//!  ├── work/               its current directory, the same in every run
//!  ├── process             the running command's process group, and when it began
//!  ├── output.part         what it has printed so far
//!  └── output              the record: all it printed, written whole after it ended with 0
//! ```
//!
//! **At least once.** A run that ends with 0 is recorded by writing `output` whole and fsynced; from then on the command is not run again. An
//! agent that dies before that runs the command again when it comes back, after stopping what is left of the run before (where the system
//! has `/proc`; elsewhere the two may overlap). The command must bear that: its directory is the same each time, so it can take
//! up its own work or hold a lock there.
//!
//! Bounds: [`MAX_OUTPUT_BYTES`] of output, the lease's end, [`GRACE`] between being asked to stop and being killed. Whatever the command
//! leaves running in its process group ends with it.

use crate::{agent::result_hash, files};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tender_wire::{Digest, UnixTime};

/// Most bytes a command may print: a result of this size or larger is better kept elsewhere and named by its hash.
pub const MAX_OUTPUT_BYTES: u64 = 64 << 20;
/// How long a command may take to end after SIGTERM.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// What to run.
pub(super) struct Order {
    /// The job's directory.
    pub(super) dir: PathBuf,
    /// For `sh -c`.
    pub(super) command: String,
    /// For its standard input.
    pub(super) certificate: String,
    pub(super) environment: Vec<(&'static str, String)>,
    /// When it must have ended.
    pub(super) until: UnixTime,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With 0; its output is recorded.
    Recorded { bytes: u64 },
    /// Not so, and why.
    Failed(String),
    /// The agent stopped it.
    Stopped,
}

/// A command that runs.
pub(super) struct Job {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Job {
    /// Starts a command; `done` is called from its own thread when it has ended.
    pub(super) fn start(
        order: Order,
        done: impl FnOnce(Ended) + Send + 'static,
    ) -> io::Result<Job> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = thread::Builder::new()
            .name("command".into())
            .spawn(move || {
                let ended = order.run(&told);
                done(ended.unwrap_or_else(|e| Ended::Failed(format!("cannot run it: {e}"))));
            })?;
        Ok(Job { stop, thread })
    }

    /// Asks the command to end.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until it has.
    pub(super) fn join(self) {
        let _ = self.thread.join();
    }
}

/// The recorded output of a job, by the hash it is delivered under and its size; `None` if there is none yet.
pub(super) fn recorded(dir: &Path) -> io::Result<Option<(Digest, u64)>> {
    match File::open(dir.join("output")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        other => {
            let bytes = bounded(other?)?;
            let size = bytes.len() as u64;
            if size > MAX_OUTPUT_BYTES {
                return Err(io::Error::other("the recorded output has grown"));
            }
            Ok(Some((result_hash(&bytes), size)))
        }
    }
}

fn bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_OUTPUT_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Order {
    fn run(&self, stop: &AtomicBool) -> io::Result<Ended> {
        let work = self.dir.join("work");
        files::create_private_dir(&work)?;
        let process = self.dir.join("process");
        end_leftovers(&process);
        let certificate = self.dir.join("certificate.json");
        files::replace(&certificate, self.certificate.as_bytes())?;
        let part = self.dir.join("output.part");
        let mut child = self.spawn(&work, &certificate, &part)?;
        let pid = Pid::from_child(&child);
        let began = began(pid).unwrap_or_default();
        let noted = files::replace(&process, format!("{} {began}\n", child.id()).as_bytes());
        let why = match noted {
            Ok(()) => self
                .watch(pid, &part, stop)
                .unwrap_or_else(|e| Some(Ended::Failed(format!("it cannot be watched: {e}")))),
            Err(e) => Some(Ended::Failed(format!("its process cannot be noted: {e}"))),
        };
        if why.is_some() {
            let _ = kill_process_group(pid, Signal::TERM);
            let asked = Instant::now();
            while !has_ended(pid).unwrap_or(true) && asked.elapsed() < GRACE {
                sleep(LOOK);
            }
        }
        let ended = reap(&mut child, pid, why)?;
        let _ = fs::remove_file(&process);
        let ended = match ended {
            None => self.record(&part)?,
            Some(ended) => ended,
        };
        let _ = fs::remove_file(&part);
        Ok(ended)
    }

    fn spawn(&self, work: &Path, certificate: &Path, part: &Path) -> io::Result<Child> {
        // Never the file of an earlier run: what may be left of it still writes there.
        match fs::remove_file(part) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let output = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(part)?;
        Command::new("sh")
            .arg("-c")
            .arg(&self.command)
            .current_dir(work)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("TENDER_CERTIFICATE", certificate)
            .stdin(File::open(certificate)?)
            .stdout(Stdio::from(output))
            .process_group(0)
            .spawn()
    }

    /// Waits until the command has ended, or gives the reason to end it.
    fn watch(&self, pid: Pid, part: &Path, stop: &AtomicBool) -> io::Result<Option<Ended>> {
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(self.until.0));
        loop {
            if has_ended(pid)? {
                return Ok(None);
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(Some(Ended::Stopped));
            }
            if until.is_some_and(|until| SystemTime::now() >= until) {
                return Ok(Some(Ended::Failed(
                    "it did not end before the lease".into(),
                )));
            }
            if fs::metadata(part)?.len() > MAX_OUTPUT_BYTES {
                return Ok(Some(too_long()));
            }
            sleep(LOOK);
        }
    }

    fn record(&self, part: &Path) -> io::Result<Ended> {
        let bytes = bounded(File::open(part)?)?;
        let size = bytes.len() as u64;
        if size > MAX_OUTPUT_BYTES {
            return Ok(too_long());
        }
        files::replace(&self.dir.join("output"), &bytes)?;
        Ok(Ended::Recorded { bytes: size })
    }
}

fn too_long() -> Ended {
    let limit = MAX_OUTPUT_BYTES >> 20;
    Ended::Failed(format!(
        "it printed more than {limit} MiB: keep the result elsewhere and print its hash"
    ))
}

/// Ends what is left of the process group, takes the exit status, and says how the run ended; `None` is well.
fn reap(child: &mut Child, pid: Pid, why: Option<Ended>) -> io::Result<Option<Ended>> {
    // The group cannot have been taken by others: its leader is not reaped yet.
    let _ = kill_process_group(pid, Signal::KILL);
    let status = child.wait()?;
    Ok(match why {
        Some(why) => Some(why),
        None if status.success() => None,
        None => Some(Ended::Failed(format!("it ended with {status}"))),
    })
}

/// Whether a child has ended; it stays to be reaped.
fn has_ended(pid: Pid) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

/// Ends the process group that an agent killed in the middle of a run has left, if it is still that one.
fn end_leftovers(note: &Path) {
    let Ok(text) = fs::read_to_string(note) else {
        return;
    };
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok());
    let since = words.next().and_then(|word| word.parse().ok());
    if let (Some(pid), Some(since)) = (pid.and_then(Pid::from_raw), since)
        && began(pid) == Some(since)
    {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = fs::remove_file(note);
}

/// When a process began, in the system's ticks: with its number, this names it. Field 22 of `/proc/<pid>/stat`.
fn began(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const FAR: UnixTime = UnixTime(4_000_000_000);

    fn order(dir: &Path, command: &str, until: UnixTime) -> Order {
        Order {
            dir: dir.to_path_buf(),
            command: command.into(),
            certificate: "{\"c\":1}".into(),
            environment: vec![("TENDER_TASK", "one".into())],
            until,
        }
    }

    fn run(dir: &Path, command: &str, until: UnixTime) -> Ended {
        let (sender, receiver) = mpsc::sync_channel(1);
        let job = Job::start(order(dir, command, until), move |ended| {
            sender.send(ended).unwrap();
        });
        let ended = receiver.recv().unwrap();
        job.unwrap().join();
        ended
    }

    #[test]
    fn what_a_command_prints_is_recorded_whole_and_under_its_plain_sha_256() {
        let dir = tempfile::tempdir().unwrap();
        let command =
            "cat; printf ' %s' \"$TENDER_TASK\"; test -s \"$TENDER_CERTIFICATE\" && pwd >where";
        assert_eq!(recorded(dir.path()).unwrap(), None);
        assert_eq!(run(dir.path(), command, FAR), Ended::Recorded { bytes: 11 });
        assert_eq!(
            fs::read(dir.path().join("output")).unwrap(),
            b"{\"c\":1} one"
        );
        let (hash, bytes) = recorded(dir.path()).unwrap().unwrap();
        assert_eq!(bytes, 11);
        // printf '{"c":1} one' | sha256sum
        let sum = "df78cbc151b8c1df0a24a1c9c195b6105d5fd71cce94118ecca44e80b339d8a3";
        assert_eq!(hash.to_string(), sum);
        let place = fs::read_to_string(dir.path().join("work/where")).unwrap();
        assert!(place.trim().ends_with("/work"), "{place}");
        assert!(!dir.path().join("output.part").exists() && !dir.path().join("process").exists());
    }

    #[test]
    fn a_command_that_fails_records_nothing() {
        let dir = tempfile::tempdir().unwrap();
        match run(dir.path(), "echo half; exit 3", FAR) {
            Ended::Failed(why) => assert!(why.contains("exit status: 3"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(recorded(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_command_ends_with_its_lease_and_what_it_leaves_behind_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let ended = run(dir.path(), "sleep 1000 & sleep 1000", UnixTime(1));
        assert!(matches!(ended, Ended::Failed(why) if why.contains("before the lease")));
        let ended = run(dir.path(), "sleep 1000 & echo $!", FAR);
        assert!(matches!(ended, Ended::Recorded { .. }));
        let left = fs::read_to_string(dir.path().join("output")).unwrap();
        let stat = format!("/proc/{}/stat", left.trim());
        let lives = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        while lives() {
            sleep(LOOK);
        }
    }

    #[test]
    fn a_command_that_prints_without_end_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let ended = run(dir.path(), "yes", FAR);
        assert!(matches!(ended, Ended::Failed(why) if why.contains("more than 64 MiB")));
        assert!(!dir.path().join("output.part").exists());
    }

    #[test]
    fn a_command_has_so_long_to_end_and_is_killed_then() {
        let dir = tempfile::tempdir().unwrap();
        let tidy = dir.path().join("tidy");
        let order = |name: &str, command: &str| {
            let command =
                format!("trap '{command}' TERM; touch ready; while :; do sleep 0.1; done");
            order(&dir.path().join(name), &command, FAR)
        };
        let (sender, receiver) = mpsc::sync_channel(2);
        let jobs = [
            order("tidies", &format!("touch {}; exit", tidy.display())),
            order("stays", ""),
        ]
        .map(|order| {
            let (sender, ready) = (sender.clone(), order.dir.join("work/ready"));
            let job = Job::start(order, move |ended| {
                sender.send((ended, Instant::now())).unwrap();
            });
            while !ready.exists() {
                sleep(LOOK);
            }
            job.unwrap()
        });
        let asked = Instant::now();
        jobs.iter().for_each(Job::stop);
        let ends: Vec<_> = receiver.iter().take(2).collect();
        assert!(ends.iter().all(|(ended, _)| *ended == Ended::Stopped));
        assert!(tidy.exists());
        let last = ends.iter().map(|(_, at)| at.duration_since(asked)).max();
        assert!(last >= Some(GRACE), "killed before its time: {last:?}");
        jobs.into_iter().for_each(Job::join);
    }

    #[test]
    fn what_an_agent_killed_in_a_run_left_is_ended_before_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut left = Command::new("sleep")
            .arg("100")
            .process_group(0)
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&left);
        let note = dir.path().join("process");
        // another process under that number now: not ours to end
        fs::write(
            &note,
            format!("{} {}\n", left.id(), began(pid).unwrap() + 1),
        )
        .unwrap();
        end_leftovers(&note);
        assert!(left.try_wait().unwrap().is_none());
        fs::write(&note, format!("{} {}\n", left.id(), began(pid).unwrap())).unwrap();
        assert_eq!(run(dir.path(), "true", FAR), Ended::Recorded { bytes: 0 });
        assert!(!left.wait().unwrap().success());
    }
}
