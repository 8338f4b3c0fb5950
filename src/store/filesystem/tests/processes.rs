//! Many processes on one store, which are killed: wherever that happens no answer is wrong, the others go on, and nothing
//! is left behind. A process is this test program once more.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use super::actor::{Actor, Chance, KEYS, key};
use super::audit::{audit, tidy};
use super::*;
use crate::store::filesystem::steps::KILLED_AT;
use crate::store::suite::{meta, part_of};

const PART: &str = "CACHEPROXY_TEST_PART";
const PATIENCE: Duration = Duration::from_secs(30);
/// A process with a part in a test.
pub(super) struct Process(Child);

impl Process {
    pub(super) fn start(
        dir: &Path,
        shared: &Shared,
        worker: usize,
        part: &str,
        killed_at: &str,
    ) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Process::give_part(
            &mut command,
            shared,
            &format!("{part}|{}|{worker}", dir.display()),
        );
        Process(command.env(KILLED_AT, killed_at).spawn().unwrap())
    }

    /// One whose store is on a disk of a few MiB, which this command lets it mount.
    pub(super) fn on_a_small_disk(
        dir: &Path,
        shared: &Shared,
        part: &str,
        mut through: Command,
    ) -> Process {
        let mount = "mount -t tmpfs -o size=5m none \"$1\" && shift && exec \"$@\"";
        through.args(["sh", "-c", mount, "sh"]).arg(dir);
        through.arg(std::env::current_exe().unwrap());
        Process::give_part(&mut through, shared, &format!("{part}|{}|1", dir.display()));
        Process(through.spawn().unwrap())
    }

    fn give_part(command: &mut Command, shared: &Shared, part: &str) {
        let memory = shared.fd().as_raw_fd();
        let memory = format!("/proc/{}/fd/{memory}", std::process::id());
        let name = "store::filesystem::tests::processes::process";
        command.args(["--exact", name, "--nocapture"]);
        command.env(PART, format!("{part}|{memory}"));
        command.stdout(Stdio::null());
    }

    #[track_caller]
    fn await_its_kill(&mut self, what: &str) {
        let status = self.await_its_end();
        assert_eq!(status.signal(), Some(9), "{what}: {status}");
    }

    #[track_caller]
    pub(super) fn await_its_end(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it doesn't end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn kill(&mut self) {
        let _ = self.0.kill();
        let status = self.0.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it had failed: {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What such a process does; nothing in a run of all tests.
#[test]
fn process() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    let words: Vec<&str> = part.split('|').collect();
    let shared = match words[0] {
        // It may not take that of the process that it is a user of.
        "full" => shared(),
        _ => {
            let memory = File::options().read(true).write(true).open(words[3]);
            Arc::new(Shared::from_fd(memory.unwrap().into()).unwrap())
        }
    };
    let worker = words[2].parse().unwrap();
    let actor = Actor::new(open(Path::new(words[1]), &shared, worker), shared);
    match words[0] {
        "all" => {
            let mut chance = Chance(u64::from(std::process::id()) << 8 | 1);
            loop {
                actor.something(&mut chance);
                let counters = actor.shared.counters(worker);
                counters.requests.fetch_add(1, Relaxed);
            }
        }
        "give back" => drop(actor.store.give_back(1 << 20)),
        "compact" => drop(actor.store.compact().unwrap()),
        "evict" => {
            let wanted = Wanted { bytes: 1, files: 0 };
            actor.store.evict(wanted, PATIENCE).unwrap();
        }
        "remove" => drop(actor.store.remove(&key(0)).unwrap()),
        "refresh" => actor.refresh(&key(0), 77),
        "open" => {}
        "look" => {
            for number in 0..KEYS {
                actor.look(&key(number));
            }
        }
        "full" => super::broken::fill(&actor),
        seed => actor.publish(&key(0), seed.parse().unwrap(), 5),
    }
}

#[test]
fn a_kill_at_any_step_leaves_nothing_and_the_next_start_is_clean() {
    let table: [(&str, &[&str]); 9] = [
        ("3", &["changed", "committed", "counted"]),
        (
            "6",
            &["written", "named", "changed", "committed", "counted"],
        ),
        ("1", &["changed", "committed", "counted"]),
        ("refresh", &["changed", "committed", "counted"]),
        ("remove", &["changed", "committed", "counted"]),
        ("evict", &["changed", "committed"]),
        (
            "compact",
            &[
                "directory",
                "copied",
                "changed",
                "moved",
                "linked",
                "renamed",
                "placed",
            ],
        ),
        ("give back", &["changed", "committed"]),
        ("open", &["made", "linked", "renamed"]),
    ];
    for (part, steps) in table {
        for step in steps {
            if (part, *step) != ("compact", "changed") {
                killed_once(part, step);
            }
        }
    }
}

/// A process is killed at one step of what it does, while another has the store open.
fn killed_once(part: &str, step: &str) {
    let what = format!("{part}, {step}");
    let dir = tempfile::tempdir().unwrap();
    let shared = shared();
    let other = Key::new("GET http://b/");
    let start = |worker| Process::start(dir.path(), &shared, worker, part, step);
    if part == "open" {
        start(1).await_its_kill(&what);
    }
    let actor = Actor::new(open(dir.path(), &shared, 0), shared.clone());
    let first = if part == "1" { 5 } else { 6 };
    actor.publish(&key(0), first, 1);
    part_and_variant(&actor);
    actor.publish(&other, 2, 1);
    // Something free in the index.
    (0..9).for_each(|round| actor.publish(&key(3), 4, round));
    actor.store.remove(&key(3)).unwrap();
    if part != "open" {
        start(1).await_its_kill(&what);
    }
    let is_lost = part == "compact" && ["moved", "linked"].contains(&step);
    let is_there = |actor: &Actor| actor.look(&other).is_some();
    // The others go on at once.
    let begun = Instant::now();
    actor.look(&key(0));
    actor.publish(&key(1), 3, 1);
    actor.publish(&key(2), 5, 1);
    assert!(actor.look(&key(1)).is_some() && actor.look(&key(2)).is_some());
    assert!(begun.elapsed() < Duration::from_secs(2), "{what}");
    assert_eq!(is_there(&actor), !is_lost, "{what}");
    tidy(dir.path(), &shared);
    let records = audit(dir.path(), &actor.store);
    drop(actor);
    let actor = Actor::new(open(dir.path(), &shared, 0), shared.clone());
    assert_eq!(is_there(&actor), !is_lost, "{what}, started again");
    assert!(actor.look(&key(1)).is_some() && actor.look(&key(2)).is_some());
    assert_eq!(audit(dir.path(), &actor.store), records, "{what}");
    open(dir.path(), &shared, 1);
    assert_eq!(shared.used(), shared.stored(), "{what}: reserved");
}

fn part_and_variant(actor: &Actor) {
    let part = part_of(&key(0), 0..3000);
    publish(&actor.store, &part, &actor.contents[2]);
    let request = fields(&[("A", "1")]);
    let meta = meta("GET http://v/", &[("Vary", "A")], &request);
    publish(&actor.store, &meta, &actor.contents[1]);
}

/// The one who looks on meanwhile also removes: what was removed never comes back.
#[test]
fn everyone_goes_on_while_others_are_killed() {
    const VICTIMS: [usize; 3] = [1, 2, 3];
    let dir = tempfile::tempdir().unwrap();
    let shared = shared();
    let start = |worker| Process::start(dir.path(), &shared, worker, "all", "");
    let done = |worker| shared.counters(worker).requests.load(Relaxed);
    let actor = Actor::new(open(dir.path(), &shared, 0), shared.clone());
    let stop = AtomicBool::new(false);
    let (kills, looks, longest) = std::thread::scope(|scope| {
        let onlooker = scope.spawn(|| look_on(&actor, &stop));
        let mut victims = VICTIMS.map(start);
        let mut chance = Chance(7);
        let (begun, mut kills) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_secs(4) && !onlooker.is_finished() {
            let worker = VICTIMS[kills % VICTIMS.len()];
            let wanted = done(worker) + chance.below(4);
            let victim = &mut victims[kills % VICTIMS.len()];
            while done(worker) < wanted {
                assert!(begun.elapsed() < PATIENCE, "{worker} doesn't go on");
                assert_eq!(victim.0.try_wait().unwrap(), None, "{worker} failed");
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_micros(chance.below(3000)));
            victim.kill();
            *victim = start(worker);
            kills += 1;
        }
        victims.iter_mut().for_each(Process::kill);
        stop.store(true, Relaxed);
        // One that is killed as it is given LMDB's lock takes along that others wait: whoever contends for it next wakes them.
        let contend = || {
            while !onlooker.is_finished() {
                let _ = actor.store.change(|_| Ok(()));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(contend);
            contend();
        });
        let (looks, longest) = onlooker.join().unwrap();
        (kills, looks, longest)
    });
    eprintln!("{kills} kills, {looks} answers, the longest took {longest:?}");
    assert!(kills > 5 && looks > 100, "{kills} kills, {looks} answers");
    assert!(longest < PATIENCE / 3, "{longest:?}");
    tidy(dir.path(), &shared);
    audit(dir.path(), &actor.store);
    drop(actor);
    let actor = Actor::new(open(dir.path(), &shared, 0), shared.clone());
    for number in 0..KEYS {
        actor.look(&key(number));
    }
    audit(dir.path(), &actor.store);
    for worker in VICTIMS {
        open(dir.path(), &shared, worker);
    }
    // What was being read when it went counts until the evictor sees that it has gone.
    shared.set_left(shared.leaving());
    assert_eq!(shared.used(), shared.stored(), "reserved");
}

/// Looks, publishes and removes until it is stopped; the number of answers, and the time that the longest took.
fn look_on(actor: &Actor, stop: &AtomicBool) -> (u64, Duration) {
    let mut chance = Chance(3);
    let mut least = [0; KEYS as usize];
    let (mut looks, mut longest) = (0, Duration::ZERO);
    while !stop.load(Relaxed) {
        let number = chance.below(KEYS);
        let key = key(number);
        let least = &mut least[number as usize];
        let begun = Instant::now();
        match chance.below(8) {
            0 => actor.publish(&key, chance.below(7) as usize, 9),
            1 => {
                actor.shared.invalidate(key.hash());
                actor.store.remove(&key).unwrap();
                *least = actor.shared.invalidations(key.hash());
            }
            _ => {
                let found = actor.look(&key);
                assert!(found.is_none_or(|epoch| epoch >= *least), "it came back");
                looks += 1;
            }
        }
        longest = longest.max(begun.elapsed());
    }
    (looks, longest)
}
