//! Patterns of single lines.

use std::sync::LazyLock;

use regex::Regex;

use super::Kind;
use crate::finding::{Finding, Severity};
use Severity::{Error, Info, Warning};

/// One pattern. Severities are for programs and for prose; `None` where it means nothing.
struct Rule {
    code: &'static str,
    program: Option<Severity>,
    prose: Option<Severity>,
    /// Comments of programs count, too.
    in_comments: bool,
    message: &'static str,
    hint: &'static str,
    pattern: &'static str,
}

const SHELLS: &str = r"(?:sudo\s+(?:-\w+\s+)*)?(?:/usr)?(?:/bin/)?(?:env\s+)?(?:ba|z|da|k|a)?sh\b";

/// `SH` stands for [`SHELLS`].
const RULES: [Rule; 16] = [
    Rule {
        code: "pipe_to_shell",
        program: Some(Error),
        prose: Some(Error),
        in_comments: true,
        message: "runs what it fetches from the network, unseen",
        hint: "put the program into the skill, or name it with a digest",
        pattern: r"\b(?:curl|wget|fetch|iwr|irm|Invoke-WebRequest|Invoke-RestMethod)\b[^|\n]*\|\s*(?:SH|(?:sudo\s+)?(?:python[\d.]*|perl|ruby|node|php|iex|Invoke-Expression)\b)",
    },
    Rule {
        code: "pipe_to_shell",
        program: Some(Error),
        prose: Some(Error),
        in_comments: true,
        message: "runs what it fetches from the network, unseen",
        hint: "put the program into the skill, or name it with a digest",
        pattern: r#"(?:\b(?:SH\s+-c|eval|source|bash|sh|zsh|python3?)|^\s*\.)\s*["']?\s*(?:\$\(|<\(|`)\s*(?:curl|wget)\b|(?:exec|eval)\s*\(.*(?:urlopen|requests\.get|fetch)\s*\(|(?i:iex|Invoke-Expression)\s*\(.*(?i:DownloadString|iwr|irm)"#,
    },
    Rule {
        code: "encoded_program",
        program: Some(Error),
        prose: Some(Error),
        in_comments: true,
        message: "decodes something and runs it",
        hint: "write the program as text",
        pattern: r"(?:base64\s+(?:-d|-D|--decode)|xxd\s+-r|openssl\s+(?:enc|base64)\b[^|]*-d|gunzip|zcat)\b[^|\n]*\|\s*(?:SH|(?:python[\d.]*|perl|ruby|node)\b)|\b(?:exec|eval|Function)\s*\(.*(?:b64decode|a85decode|base64|fromCharCode|unhexlify|fromhex|codecs\.decode|atob|marshal\.loads|zlib\.decompress)",
    },
    Rule {
        code: "credential_path",
        program: Some(Error),
        prose: Some(Warning),
        in_comments: true,
        message: "names a place where credentials are kept",
        hint: "a skill has no business there: say what it needs in `compatibility`",
        pattern: r#"(?i)(?:~|\$\{?HOME\}?|/home/\w+|/root|%USERPROFILE%|[\s"'(/])[/\\]?\.(?:ssh|gnupg|aws|azure|kube|password-store|config/gcloud|config/gh|docker/config\.json|netrc|git-credentials|pypirc|npmrc|pgpass)\b|\bid_(?:rsa|ed25519|ecdsa)\b|/etc/shadow\b|application_default_credentials"#,
    },
    Rule {
        code: "credential_path",
        program: Some(Error),
        prose: Some(Error),
        in_comments: true,
        message: "names a keychain, a wallet or a browser's profile",
        hint: "a skill has no business there",
        pattern: r"(?i)login\.keychain|Library/Keychains|find-(?:generic|internet)-password|\.mozilla/firefox|(?:Google[/\\ ]*Chrome|Chromium|BraveSoftware|google-chrome)[/\\].*(?:Default|User Data|Profile|Cookies|Login Data)|\bLogin Data\b|cookies\.sqlite|wallet\.dat|\bkey4\.db\b|secret-tool\s+(?:lookup|search)",
    },
    Rule {
        code: "dotenv_file",
        program: Some(Warning),
        prose: Some(Info),
        in_comments: false,
        message: "names a `.env` file, in which secrets are often kept",
        hint: "leave it alone, or say why it is needed",
        pattern: r#"(?:^|[\s"'`(/=])\.env(?:\.(?:local|prod\w*|dev\w*))?(?:["'`\s),;:]|$)|\bload_dotenv\b"#,
    },
    Rule {
        code: "secret_variable",
        program: Some(Warning),
        prose: Some(Info),
        in_comments: false,
        message: "reads a secret from the environment",
        hint: "there are none in a VM; name what it needs in `compatibility`",
        pattern: r#"(?:\$\{?|\benviron(?:\.get)?\s*[\[(]\s*["']|\bgetenv\s*\(\s*["']|process\.env(?:\.|\[["'])|ENV(?:\.fetch)?[\[(]["'])[A-Z0-9_]*(?:API_?KEY|_KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)\b"#,
    },
    Rule {
        code: "whole_environment",
        program: Some(Warning),
        prose: None,
        in_comments: false,
        message: "takes the whole environment",
        hint: "take the variables that are needed, by name",
        pattern: r"(?:^|[\s;&|(`])(?:printenv|env)\s*(?:\||>|$)|\b(?:dict|str|json\.dumps|list)\(\s*(?:dict\()?os\.environ|JSON\.stringify\(\s*process\.env",
    },
    Rule {
        code: "network_call",
        program: Some(Warning),
        prose: None,
        in_comments: false,
        message: "calls the network",
        hint: "a VM reaches only what the plan's `network` allows; say it in `compatibility`",
        pattern: r"(?:^|[\s;&|(`])(?:curl|wget|ncat|telnet|scp|sftp|ftp|rsync)\s+\S|\b(?:requests|httpx)\.(?:get|post|put|patch|delete|request|Session|Client|AsyncClient)\b|\burllib3?\.request\b|\burlopen\s*\(|\bhttp\.client\b|\bsocket\.(?:socket|create_connection)\b|\baiohttp\b|\bfetch\s*\(\s*[\x22'`]https?:|\baxios\b|\bXMLHttpRequest\b|\bWebSocket\s*\(|Invoke-WebRequest|Net::HTTP|LWP::",
    },
    Rule {
        code: "reverse_shell",
        program: Some(Error),
        prose: Some(Error),
        in_comments: true,
        message: "opens a shell to somewhere else",
        hint: "do not use this skill",
        pattern: r"/dev/(?:tcp|udp)/|\bnc(?:at)?\s+(?:-\w+\s+)*-\w*e\b|\b(?:ba)?sh\s+-i\s*>&|pty\.spawn\s*\(|\bsocat\b.*\bexec:",
    },
    Rule {
        code: "drop_point",
        program: Some(Error),
        prose: Some(Error),
        in_comments: true,
        message: "names a place where stolen data is collected",
        hint: "do not use this skill",
        pattern: r"(?i)webhook\.site|requestbin|\bngrok(?:-free)?\.(?:io|app|dev)|pastebin\.com|transfer\.sh|discord(?:app)?\.com/api/webhooks|api\.telegram\.org/bot|burpcollaborator|\.oast\.|interact\.sh|pipedream\.net|beeceptor\.com",
    },
    Rule {
        code: "destructive",
        program: Some(Error),
        prose: Some(Warning),
        in_comments: false,
        message: "destroys what is not the skill's",
        hint: "delete by name, inside the workspace",
        pattern: r"\brm\s+(?:-\w+\s+)*-\w*[rR]\w*\s+(?:-\w+\s+)*[\x22']?(?:/|~/?|\$\{?HOME\}?/?|/\*)[\x22']?(?:\s|;|&|$)|\bmkfs(?:\.\w+)?\s|\bdd\s+.*\bof=/dev/(?:sd|nvme|vd|hd|mmcblk)|>\s*/dev/(?:sd|nvme|vd)|:\(\)\s*\{\s*:\|:&\s*\}",
    },
    Rule {
        code: "stays_behind",
        program: Some(Error),
        prose: Some(Warning),
        in_comments: false,
        message: "arranges to be run again later",
        hint: "a skill is used when it is asked for",
        pattern: r">>?\s*[\x22']?(?:~|\$\{?HOME\}?)/\.(?:bash\w*|zsh\w*|profile|config/autostart)|\bcrontab\s+(?:-|[^l\s])|systemctl\s+(?:--user\s+)?enable|LaunchAgents|/etc/cron|authorized_keys|\.git/hooks/\w",
    },
    Rule {
        code: "unguarded",
        program: Some(Error),
        prose: Some(Error),
        in_comments: true,
        message: "switches the questions of an agent's program off",
        hint: "take it out: people decide what is allowed",
        pattern: r"(?i)--dangerously-(?:skip|bypass)[\w-]*|--yolo\b|\bbypassPermissions\b|--(?:full-auto|auto-approve|approval-mode[= ]\w*(?:never|yolo))\b",
    },
    Rule {
        code: "asks_approval",
        program: Some(Error),
        prose: Some(Error),
        in_comments: true,
        message: "wants to decide what only people decide",
        hint: "take it out: approvals are given by people",
        pattern: r"(?i)\bbaton\s+(?:approve|reject|request-changes|apply|skills\s+(?:add|lock))\b|\bv1/approvals?/",
    },
    Rule {
        code: "false_frame",
        program: Some(Error),
        prose: Some(Error),
        in_comments: true,
        message: "imitates the marks that separate instructions from data",
        hint: "take it out, or write it with `&lt;`",
        pattern: r"(?i)</?\s*(?:skill_content|system|system-reminder|system_prompt|tool_result|function_results|untrusted[\w-]*|assistant|human)\b[^>]*>|<\|(?:im_start|im_end|system|endoftext)\|>|\[/?INST\]",
    },
];

#[expect(clippy::expect_used, reason = "the patterns are constants, compiled by a test")]
static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    RULES.iter().map(|rule| Regex::new(&rule.pattern.replace("SH", SHELLS)).expect("a sound pattern")).collect()
});

/// At most one finding per code and line.
pub(super) fn look(place: (&str, u32), line: &str, kind: Kind, findings: &mut Vec<Finding>) {
    let is_comment = kind == Kind::Program && is_comment(line);
    let before = findings.len();
    for (rule, pattern) in RULES.iter().zip(COMPILED.iter()) {
        let severity = match kind {
            Kind::Program if is_comment && !rule.in_comments => None,
            Kind::Program => rule.program,
            Kind::Prose => rule.prose,
            // Data is neither run nor obeyed, but may be read.
            Kind::Data => rule.prose.map(|_| Info),
        };
        let Some(severity) = severity else { continue };
        let is_told = findings.get(before..).unwrap_or_default().iter().any(|finding| finding.code == rule.code);
        if !is_told && pattern.is_match(line) {
            findings.push(Finding::new(severity, rule.code, place, rule.message, Some(rule.hint)));
        }
    }
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    (line.starts_with('#') && !line.starts_with("#!")) || line.starts_with("//") || line.starts_with("* ")
}
