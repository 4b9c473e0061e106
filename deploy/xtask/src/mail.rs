//! The mail servers that the tests run: Debian's own, installed and never started. Every test gives them a configuration, a
//! queue and ports of its own; those of the machine are not touched.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{
    run::{fine, run, say, which},
    setup::privileged,
};

/// A file of each program, the Debian package that has it, and why.
const SERVERS: [(&str, &str, &str); 5] = [
    ("/usr/lib/postfix/sbin/master", "postfix", "takes, relays and bounces mail"),
    ("/usr/lib/dovecot/imap", "dovecot-imapd", "keeps mailboxes and tells clients of new mail"),
    ("/usr/lib/dovecot/lmtp", "dovecot-lmtpd", "puts mail into them"),
    ("/usr/bin/swaks", "swaks", "sends mail as strangers do"),
    ("/usr/bin/openssl", "openssl", "makes keys that mail is signed with"),
];

/// Installs the packages named by its arguments. Nothing is asked, and nothing is removed: on a machine with another mail
/// server it fails and changes nothing. Services neither start now (a machine's own `policy-rc.d` is left as it is; ours
/// stops nobody once this script has ended) nor with the machine.
const INSTALL: &str = r#"
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\n# Nothing starts while packages for tests are installed.\nkill -0 %s 2>/dev/null && exit 101\nexit 0\n' "$$" > "$policy"
    chmod 755 "$policy"
fi
had_dovecot=$(command -v dovecot || true)
case " $* " in
    *" postfix "*) echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections ;;
esac
apt-get update -qq
apt-get install -y -qq --no-install-recommends --no-remove -o Dpkg::Use-Pty=0 "$@"
if [ -d /run/systemd/system ]; then
    for package in "$@"; do
        case "$package" in
            postfix) systemctl --quiet disable postfix.service || true ;;
            dovecot-*) [ -n "$had_dovecot" ] || systemctl --quiet disable dovecot.service dovecot.socket || true ;;
        esac
    done
fi
"#;

/// Installs what is missing.
pub fn servers() -> Result<()> {
    say("mail servers for the tests");
    let missing: Vec<_> = SERVERS.iter().filter(|(file, ..)| !Path::new(file).exists()).collect();
    if missing.is_empty() {
        fine("everything is there");
        return Ok(());
    }
    for (_, package, why) in &missing {
        eprintln!("  + {package}: {why} (it is not started)");
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
    let names = packages.join(", ");
    if which("apt-get").is_none() {
        anyhow::bail!("this machine has no apt-get, and the tests know where Debian puts {names}: run them on Debian");
    }
    let mut install = privileged("sh")?;
    run(install.args(["-c", INSTALL, "install"]).args(&packages)).with_context(|| {
        format!("install {names}: if the machine has another mail server, which Postfix would replace, run the tests elsewhere")
    })
}
