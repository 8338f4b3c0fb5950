//! A test in a network and a file system of its own: it is started once more, alone, where loopback has more addresses,
//! and /etc only what the resolution of names needs.

use std::process::Command;

/// The addresses of loopback, by which it is reached too: this machine's own, though not loopback ones. The second of
/// a network is reached from the first.
pub const OWN: [&str; 4] = ["192.0.2.1", "192.0.2.2", "198.51.100.1", "2001:db8::1"];

/// What makes it ready, then becomes the program that is named.
const SETUP: &str = r#"
import fcntl, os, socket, struct, subprocess, sys
four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(four, 0x8914, struct.pack("16sh14x", b"lo", 0x49))
def name(text, label):
    return struct.pack("16sHH4s8x", label, socket.AF_INET, 0, socket.inet_aton(text))
for number, text in enumerate(os.environ["OWN"].split()):
    if ":" in text:
        six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        index = socket.if_nametoindex("lo")
        fcntl.ioctl(six, 0x8916, struct.pack("16sIi", socket.inet_pton(socket.AF_INET6, text), 128, index))
    else:
        label = b"lo:%d" % number
        fcntl.ioctl(four, 0x8916, name(text, label))
        fcntl.ioctl(four, 0x891c, name("255.255.255.0", label))
kept = {name: open("/etc/" + name, "rb").read() for name in ("passwd", "group")}
subprocess.run(["mount", "-t", "tmpfs", "none", "/etc"], check=True)
kept["hosts"] = b"127.0.0.1 localhost\n192.0.2.2 mirror.test\n"
kept["nsswitch.conf"] = b"hosts: files dns\n"
kept["resolv.conf"] = b"nameserver 127.0.0.1\noptions timeout:30 attempts:2\n"
for name, text in kept.items():
    open("/etc/" + name, "wb").write(text)
os.execv(sys.argv[1], sys.argv[1:])
"#;

const INSIDE: &str = "CACHEPROXY_TEST_INSIDE";

/// True inside. Else it runs the test of this name there; where namespaces aren't allowed, nowhere.
#[track_caller]
pub fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--net", "--mount"]);
        unshare
    };
    if !unshare().arg("true").status().is_ok_and(|it| it.success()) {
        eprintln!("{test} didn't run: this user may not make namespaces");
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let done = unshare()
        .args(["python3", "-c", SETUP])
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env("OWN", OWN.join(" "))
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(
        done.status.success() && said.contains("1 passed"),
        "inside: {said}"
    );
    false
}
