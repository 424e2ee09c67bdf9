//! A real git server on this machine: nginx, fcgiwrap and `git http-backend`, with a certificate of its own authority and a password.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The user that the server knows.
pub(crate) const USER: &str = "x-access-token";
/// The token that it wants.
pub(crate) const TOKEN: &str = "correct-horse-battery-staple";

const BACKEND: &str = "/usr/lib/git-core/git-http-backend";

/// The server; its processes end with it.
pub(crate) struct GitServer {
    directory: PathBuf,
    https: u16,
    http: u16,
    wrapper: Option<Child>,
    nginx: Option<Child>,
}

impl GitServer {
    /// Serves the repositories of a directory, keeping its own files in another. `None`, and a line that says so, where it is not installed.
    pub(crate) fn start(directory: &Path, repositories: &Path) -> Option<Self> {
        for program in ["nginx", "fcgiwrap", "openssl"] {
            if !installed(program) {
                eprintln!("skipped: `{program}` is not installed");
                return None;
            }
        }
        if !Path::new(BACKEND).exists() {
            eprintln!("skipped: `{BACKEND}` is not installed");
            return None;
        }
        let mut server = Self {
            directory: directory.to_owned(),
            https: free_port(),
            http: free_port(),
            wrapper: None,
            nginx: None,
        };
        for authority in ["ca", "stranger"] {
            certificate(directory, authority);
        }
        for (name, authority, days) in [
            ("leaf", "ca", "2"),
            ("expired", "ca", "-1"),
            ("strange", "stranger", "2"),
        ] {
            leaf(directory, name, (authority, days));
        }
        server.allow(TOKEN);
        server.configure(repositories);
        server.launch_wrapper();
        server.start_with("leaf");
        Some(server)
    }

    /// The address of a repository that wants the token.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}/git/{name}", self.https)
    }

    /// The address of a repository as a server of the older protocol shows it.
    pub(crate) fn legacy_url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}/legacy/{name}", self.https)
    }

    /// An address that redirects to a repository of the same server.
    pub(crate) fn moved_url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}/moved/{name}", self.https)
    }

    /// An address that redirects to the unencrypted server.
    pub(crate) fn downgraded_url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}/down/{name}", self.https)
    }

    /// The port of the unencrypted server, which wants no token.
    pub(crate) fn plain_port(&self) -> u16 {
        self.http
    }

    /// The authority that signed its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// An authority that did not.
    pub(crate) fn wrong_ca(&self) -> PathBuf {
        self.directory.join("stranger.pem")
    }

    /// Lets this token in, and no other.
    pub(crate) fn allow(&self, token: &str) {
        let line = format!("{USER}:{{PLAIN}}{token}\n");
        std::fs::write(self.directory.join("passwords"), line).unwrap();
    }

    /// Is gone from now on.
    pub(crate) fn stop(&mut self) {
        end(&mut self.nginx);
    }

    /// Is there again, with a certificate: `leaf`, which its authority signed, `expired`, or `strange`, which another one signed.
    pub(crate) fn start_with(&mut self, certificate: &str) {
        self.stop();
        for (from, to) in [(".pem", "shown.pem"), (".key", "shown.key")] {
            let from = self.directory.join(format!("{certificate}{from}"));
            std::fs::copy(from, self.directory.join(to)).unwrap();
        }
        self.launch_nginx();
    }

    /// One line per request: the number of its connection, the user and the request.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.directory.join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    fn configure(&self, repositories: &Path) {
        let directory = self.directory.display();
        let backend = format!(
            "fastcgi_pass unix:{directory}/fcgi.sock;
             fastcgi_param SCRIPT_FILENAME {BACKEND}; fastcgi_param GIT_PROJECT_ROOT {repositories};
             fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param PATH_INFO $1; fastcgi_param QUERY_STRING $query_string;
             fastcgi_param REQUEST_METHOD $request_method; fastcgi_param CONTENT_TYPE $content_type;
             fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param REMOTE_USER $remote_user;",
            repositories = repositories.display()
        );
        let password = format!("auth_basic git; auth_basic_user_file {directory}/passwords;");
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {directory}/tmp_{kind};"))
            .concat();
        let text = format!(
            "daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/error.log;
             events {{}}
             http {{ log_format plain '$connection $remote_user $request'; access_log {directory}/access.log plain;
               {temporary} client_max_body_size 0; gzip off;
               server {{ listen 127.0.0.1:{https} ssl;
                 ssl_certificate {directory}/shown.pem; ssl_certificate_key {directory}/shown.key;
                 location ~ ^/git(/.*)$ {{ {password} {backend} }}
                 location ~ ^/legacy(/.*)$ {{ {password} fastcgi_pass_request_headers off; {backend} }}
                 location ~ ^/down(/.*)$ {{ return 301 http://127.0.0.1:{http}/git$1$is_args$args; }}
                 location ~ ^/moved(/.*)$ {{ return 301 https://127.0.0.1:{https}/git$1$is_args$args; }} }}
               server {{ listen 127.0.0.1:{http}; location ~ ^/git(/.*)$ {{ {backend} }} }} }}\n",
            https = self.https,
            http = self.http,
        );
        std::fs::write(self.directory.join("nginx.conf"), text).unwrap();
    }

    fn launch_wrapper(&mut self) {
        let socket = self.directory.join("fcgi.sock");
        let mut wrapper = Command::new("fcgiwrap");
        wrapper.arg("-s").arg(format!("unix:{}", socket.display()));
        self.wrapper = Some(spawn(wrapper));
        wait_until("fcgiwrap listens", || socket.exists());
    }

    fn launch_nginx(&mut self) {
        let directory = self.directory.display();
        let mut nginx = Command::new("nginx");
        nginx.args([
            "-e",
            &format!("{directory}/error.log"),
            "-c",
            &format!("{directory}/nginx.conf"),
        ]);
        self.nginx = Some(spawn(nginx));
        let ports = [self.https, self.http];
        wait_until("nginx answers", || {
            ports
                .iter()
                .all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        end(&mut self.nginx);
        end(&mut self.wrapper);
    }
}

fn spawn(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

fn end(process: &mut Option<Child>) {
    if let Some(mut process) = process.take() {
        process.kill().ok();
        process.wait().ok();
    }
}

/// A port that nothing listens on right now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Waits for something outside this process, at most ten seconds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("waited in vain until {what}");
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|directory| directory.join(program).exists())
}

fn certificate(directory: &Path, name: &str) {
    let subject = format!("/CN={name}");
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    openssl(
        directory,
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            &key,
            "-out",
            &pem,
            "-subj",
            &subject,
        ],
    );
}

fn leaf(directory: &Path, name: &str, (authority, days): (&str, &str)) {
    std::fs::write(
        directory.join("leaf.ext"),
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n",
    )
    .unwrap();
    let file = |ending: &str| format!("{name}.{ending}");
    let signer = |ending: &str| format!("{authority}.{ending}");
    let curve = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let (key, request) = (file("key"), file("csr"));
    let names = ["-keyout", &key, "-out", &request, "-subj", "/CN=127.0.0.1"];
    openssl(directory, &[&["req", "-new"], &curve[..], &names].concat());
    let (ca, ca_key, signed) = (signer("pem"), signer("key"), file("pem"));
    let by = [
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-CAcreateserial",
        "-days",
        days,
        "-extfile",
        "leaf.ext",
    ];
    openssl(
        directory,
        &[&["x509", "-req", "-in", &request, "-out", &signed], &by[..]].concat(),
    );
}

fn openssl(directory: &Path, args: &[&str]) {
    let output = Command::new("openssl")
        .current_dir(directory)
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "openssl {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
