//! The folder of one pair of servers: their configuration, their keys, their queues and mailboxes. Nothing outside of it is
//! touched, and nothing of the machine's own configuration is read.

use std::{
    fmt::Write as _,
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::tables::Account;

/// The file with the rules by which headers are taken out of mails.
pub(super) const STRIPPED: &str = "postfix/stripped";
/// Whom the mailboxes belong to: no user of the machine.
const KEEPER: u32 = 5_000;

/// Where the servers listen, all on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    /// Mail from the world (SMTP, STARTTLS possible).
    pub(super) smtp: u16,
    /// Mail from users: STARTTLS and a login demanded.
    pub(super) submission: u16,
    /// The same with TLS from the first byte.
    pub(super) submissions: u16,
    /// IMAP with STARTTLS.
    pub(super) imap: u16,
    /// IMAP with TLS from the first byte.
    pub(super) imaps: u16,
    pub(super) tables: u16,
    pub(super) tokens: u16,
}

impl Ports {
    /// Five ports that were free a moment ago, and the two that the test itself holds.
    pub(super) fn find(tables: u16, tokens: u16) -> Self {
        let held: Vec<TcpListener> =
            (0..5).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port for a mail server")).collect();
        let ports: Vec<u16> = held.iter().map(|l| l.local_addr().expect("its address").port()).collect();
        Self {
            smtp: ports[0],
            submission: ports[1],
            submissions: ports[2],
            imap: ports[3],
            imaps: ports[4],
            tables,
            tokens,
        }
    }
}

/// Who a program of Debian runs as.
#[derive(Debug)]
struct Id {
    user: u32,
    group: u32,
}

/// Reads ids from a file of the form of `/etc/passwd` or `/etc/group`.
fn id(file: &str, name: &str) -> Id {
    let text = fs::read_to_string(file).expect("the machine's users");
    let line = text.lines().find(|line| line.split(':').next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("{file} has no {name}: run `cargo xtask setup`"));
    let number = |at: usize| line.split(':').nth(at).and_then(|n| n.parse().ok()).unwrap_or_default();
    Id { user: number(2), group: number(3) }
}

/// Makes all folders and keys. Returns the certificate of the authority that signed the servers' certificate, as PEM.
pub(super) fn lay(folder: &Path) -> String {
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set permissions");
    };
    let make = |name: &str, user: u32, group: u32, bits: u32| {
        let path = folder.join(name);
        fs::create_dir_all(&path).expect("a folder of a mail server");
        chown(&path, Some(user), Some(group)).expect("mail servers run as several users: the tests need to be root");
        mode(&path, bits);
    };
    // Postfix and Dovecot go through this folder as users of their own.
    mode(folder, 0o755);
    let (postfix, postdrop) = (id("/etc/passwd", "postfix"), id("/etc/group", "postdrop").user);
    for name in ["postfix", "queue", "queue/pid", "dovecot", "dovecot/run", "dovecot/state", "tls"] {
        make(name, 0, 0, 0o755);
    }
    make("data", postfix.user, postfix.group, 0o700);
    for name in ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved"] {
        make(&format!("queue/{name}"), postfix.user, 0, 0o700);
    }
    make("queue/trace", postfix.user, 0, 0o700);
    make("queue/public", postfix.user, postdrop, 0o710);
    make("queue/maildrop", postfix.user, postdrop, 0o730);
    make("mail", KEEPER, KEEPER, 0o755);
    certificates(&folder.join("tls"))
}

/// A new authority, and a certificate of it for this machine.
fn certificates(folder: &Path) -> String {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.distinguished_name.push(DnType::CommonName, "the test's authority");
    let root_key = KeyPair::generate().expect("a key");
    let root_certificate = root.self_signed(&root_key).expect("a certificate");
    let names = ["localhost", "127.0.0.1", "mail.orch.test", "mx.orch.test"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names).expect("names");
    leaf.distinguished_name.push(DnType::CommonName, "mail.orch.test");
    let key = KeyPair::generate().expect("a key");
    let issuer = Issuer::new(root, root_key);
    let certificate = leaf.signed_by(&key, &issuer).expect("a certificate");
    let root = root_certificate.pem();
    fs::write(folder.join("ca.pem"), &root).expect("write the authority's certificate");
    fs::write(folder.join("server.pem"), certificate.pem()).expect("write the certificate");
    fs::write(folder.join("server.key"), key.serialize_pem()).expect("write the key");
    let chain = format!("{}{}", key.serialize_pem(), certificate.pem());
    fs::write(folder.join("chain.pem"), chain).expect("write the chain");
    root
}

/// Writes what Postfix reads.
pub(super) fn postfix(folder: &Path, ports: &Ports) {
    let root = folder.display();
    let table = |name: &str| format!("socketmap:inet:127.0.0.1:{}:{name}", ports.tables);
    let main = format!(
        "compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {root}/postfix.log
maillog_file_prefixes = {root}
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.orch.test
mydestination =
mynetworks = 192.0.2.255/32
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_banner = $myhostname ESMTP
biff = no
append_dot_mydomain = no
local_header_rewrite_clients =
recipient_delimiter = +
notify_classes =
smtputf8_enable = yes
message_size_limit = 62914560
mailbox_size_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_delay_reject = yes
in_flow_delay = 0
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
transport_retry_time = 1s
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = {mailboxes}
virtual_transport = lmtp:unix:{root}/dovecot/run/lmtp
lmtp_destination_recipient_limit = 1
transport_maps = {routes}
default_transport = error:5.1.2 the domain does not exist
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_client_access {clients}, check_sender_access {senders}, check_recipient_access {recipients}
smtpd_tls_chain_files = {root}/tls/chain.pem
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {root}/dovecot/run/auth-postfix
smtpd_sasl_security_options = noanonymous
smtp_tls_security_level = may
header_checks = regexp:{root}/{STRIPPED}
",
        domains = table("domains"),
        mailboxes = table("mailboxes"),
        routes = table("routes"),
        clients = table("clients"),
        senders = table("senders"),
        recipients = table("recipients"),
    );
    fs::write(folder.join(STRIPPED), "").expect("write the headers that are stripped");
    fs::write(folder.join("postfix/main.cf"), main).expect("write main.cf");

    // Users may write to anybody; whether a mailbox exists, they learn from a bounce, as with most providers.
    let user = "-o smtpd_sasl_auth_enable=yes -o smtpd_reject_unlisted_recipient=no \
                -o smtpd_relay_restrictions=permit_sasl_authenticated,reject";
    let mut master = format!(
        "127.0.0.1:{} inet n - n - - smtpd
127.0.0.1:{} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt {user}
127.0.0.1:{} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes {user}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
flush unix n - n 1000? 0 flush
showq unix n - n - - showq
verify unix - - n - 1 verify
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxywrite unix - - n - 1 proxymap
postlog unix-dgram n - n - 1 postlogd
",
        ports.smtp, ports.submission, ports.submissions
    );
    for (name, program) in [
        ("rewrite", "trivial-rewrite"),
        ("bounce", "bounce"),
        ("defer", "bounce"),
        ("trace", "bounce"),
        ("proxymap", "proxymap"),
        ("smtp", "smtp"),
        ("relay", "smtp"),
        ("lmtp", "lmtp"),
        ("error", "error"),
        ("retry", "error"),
        ("discard", "discard"),
    ] {
        let _ = writeln!(master, "{name} unix - - n - {} {program}", if program == "bounce" { "0" } else { "-" });
    }
    fs::write(folder.join("postfix/master.cf"), master).expect("write master.cf");
}

/// Writes what Dovecot reads.
pub(super) fn dovecot(folder: &Path, ports: &Ports) {
    let root = folder.display();
    let config = format!(
        "base_dir = {root}/dovecot/run
state_dir = {root}/dovecot/state
instance_name = test
hostname = mx.orch.test
log_path = {root}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{root}/tls/server.pem
ssl_key = <{root}/tls/server.key
auth_mechanisms = plain login xoauth2 oauthbearer
auth_failure_delay = 0
mail_location = maildir:~/Maildir
mail_max_userip_connections = 200
first_valid_uid = {KEEPER}
mail_plugins = quota
recipient_delimiter = +
lmtp_hdr_delivery_address = final
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {root}/dovecot/oauth2.conf
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login
  args = scheme=PLAIN username_format=%Lu {root}/dovecot/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%Lu {root}/dovecot/users
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
plugin {{
  quota = count:mailbox
  quota_vsizes = yes
  quota_rule = *:bytes=0
}}
service imap-login {{
  service_count = 0
  chroot =
  inet_listener imap {{
    port = {}
  }}
  inet_listener imaps {{
    port = {}
    ssl = yes
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener auth-postfix {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
",
        ports.imap, ports.imaps
    );
    fs::write(folder.join("dovecot/dovecot.conf"), config).expect("write dovecot.conf");
    let tokens = format!(
        "introspection_url = http://127.0.0.1:{}/introspect
introspection_mode = post
username_attribute = username
active_attribute = active
active_value = true
",
        ports.tokens
    );
    fs::write(folder.join("dovecot/oauth2.conf"), tokens).expect("write oauth2.conf");
}

/// Writes who may log in. The file is replaced as a whole: Dovecot reads it when its time or size has changed.
pub(super) fn users<'a>(folder: &Path, accounts: impl Iterator<Item = (&'a String, &'a Account)>) {
    let mut text = String::new();
    for (address, account) in accounts {
        let home = folder.join("mail").join(address);
        let quota = account.quota.map(|bytes| format!("userdb_quota_rule=*:bytes={bytes}")).unwrap_or_default();
        let _ =
            writeln!(text, "{address}:{{PLAIN}}{}:{KEEPER}:{KEEPER}::{}::{quota}", account.password, home.display());
    }
    let fresh = folder.join("dovecot/users.new");
    fs::write(&fresh, text).expect("write the users");
    fs::rename(fresh, folder.join("dovecot/users")).expect("put the users into place");
}
