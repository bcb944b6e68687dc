//! Requests that are anything between valid and noise, the same at each run.

use std::collections::BTreeMap;

use grantor::testing::block_on;

use crate::hostile_input::check;
use crate::support::*;

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";

/// What upsets readers of forms, and a word to find again.
const JUNK: [&[u8]; 13] = [
    b"&",
    b"=",
    b"%",
    b"%00",
    b"%zz",
    b"\xff",
    b"+",
    b"&code=",
    b"&scope=MARKER",
    b"\"MARKER\\",
    b"&MARKER=1",
    b"%22MARKER",
    b"\r\n",
];

const MORE: [&str; 7] = [
    "client_id=app",
    "client_id=spa",
    "foo=bar&foo=baz",
    "client_assertion=MARKER",
    "state=MARKER",
    "resource=x",
    "",
];
const HEADERS: [&str; 6] = [
    "authorization",
    "content-type",
    "origin",
    "access-control-request-method",
    "x-forwarded-proto",
    "cookie",
];
const VALUES: [&str; 6] =
    ["Basic YXBwOng=", "Bearer MARKER", "https", "http", "POST", "https://page.example"];
const PATHS: [&str; 4] =
    ["/oauth/token", "/oauth/token", "/invoke/pub.oauth/getToken", "/invoke/pub.oauth/refreshAccessToken"];

/// A sequence that is the same at each run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap()
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() % end
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Changes a few bytes: flips, cuts, repeats and inserts.
    fn spoil(&mut self, text: &mut Vec<u8>) {
        for _ in 0..self.below(3) {
            let at = self.below(text.len() + 1);
            match self.below(5) {
                0 if at < text.len() => text[at] = u8::try_from(self.below(256)).unwrap(),
                1 => text.truncate(at),
                2 if at < text.len() => drop(text.remove(at)),
                3 => {
                    let tail = text[at..].to_vec();
                    text.extend(tail);
                }
                _ => {
                    let junk = JUNK[self.below(JUNK.len())];
                    text.splice(at..at, junk.iter().copied());
                }
            }
        }
    }
}

/// A request that may be anything between valid and noise.
fn request(noise: &mut Noise, forms: &[&str]) -> Http {
    let first = if noise.one_in(10) { &MORE } else { forms };
    let mut body = noise.pick(first).as_bytes().to_vec();
    if noise.one_in(3) {
        body.push(b'&');
        let second = if noise.one_in(10) { forms } else { &MORE };
        body.extend_from_slice(noise.pick(second).as_bytes());
    }
    if noise.one_in(2) {
        noise.spoil(&mut body);
    }
    let mut http = Http::form(body);
    if noise.one_in(20) {
        http = http.method(noise.pick(&["GET", "PUT", "OPTIONS", "post", "", "MARKER", "HEAD"]));
    }
    if noise.one_in(40) {
        http = http.method("OPTIONS").header("access-control-request-method", "POST");
        http = http.header("origin", "https://page.example");
    }
    if noise.one_in(10) {
        let mut query = noise.pick(forms).as_bytes().to_vec();
        noise.spoil(&mut query);
        http = http.query(&String::from_utf8_lossy(&query));
    }
    if noise.one_in(20) {
        http = http.without_header("content-type");
    }
    if !noise.one_in(5) {
        let id = noise.pick(&["app", "app", "app", "other", "spa", "few", "nobody", "MARKER"]);
        let secret = noise.pick(&[SECRET, SECRET, SECRET, "MARKER", ""]);
        http = http.basic(id, secret);
    }
    while noise.one_in(6) {
        let name = noise.pick(&HEADERS);
        let mut value = noise.pick(&VALUES).as_bytes().to_vec();
        noise.spoil(&mut value);
        http = http.header(name, value);
    }
    http.secure = !noise.one_in(20);
    http.peer = noise.one_in(4).then(|| "10.0.0.1".parse().unwrap());
    http.path(noise.pick(&PATHS))
}

#[test]
fn gen_14_whatever_is_sent_the_answer_is_well_formed() {
    let mut setup = Setup::default();
    setup.clients.push(confidential("few").without_grant_types().build().unwrap());
    let server = setup.build();
    let open = open_router(&server);
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut seen: BTreeMap<(u16, String), usize> = BTreeMap::new();
    let mut login = server.login();
    for round in 0..6000 {
        if round % 50 == 0 {
            login = server.login();
        }
        let (exchange, refresh) = (exchange_form(&server.code()), refresh_form(login.refresh_token()));
        let forms = [
            CLIENT_CREDENTIALS,
            "grant_type=client_credentials&scope=a",
            "grant_type=client_credentials&scope=z",
            "grant_type=password&username=MARKER&password=MARKER",
            "grant_type=client_credentials&client_id=app&client_secret=a-secret-of-the-app",
            &exchange,
            &refresh,
        ];
        let http = request(&mut noise, &forms);
        let router = if round % 2 == 0 { &server.router } else { &open };
        let answer = Answer::read(&block_on(router.handle(&http.request())).expect("a path of the router's"));
        let case = (
            round,
            http.method,
            &http.path,
            &http.query,
            http.body.escape_ascii().to_string(),
            &http.headers,
        );
        check(&answer, &case);
        assert!(!format!("{answer:?}").contains("MARKER"), "{case:?}: {answer:?}");
        *seen.entry((answer.status, answer.error().unwrap_or_default().to_owned())).or_default() += 1;
    }
    // The noise is worth something only if it gets everywhere.
    for (status, error) in [
        (200, ""),
        (204, ""),
        (400, "invalid_request"),
        (400, "invalid_grant"),
        (400, "invalid_scope"),
        (400, "unauthorized_client"),
        (400, "unsupported_grant_type"),
        (401, "invalid_client"),
        (405, "invalid_request"),
    ] {
        assert!(seen.contains_key(&(status, error.to_owned())), "never {status} {error}: {seen:?}");
    }
    assert!(seen[&(200, String::new())] > 200, "{seen:?}");
}

/// A router that allows what can be allowed.
fn open_router(server: &Harness) -> grantor::http::Router {
    grantor::http::Router::builder(server.server.clone())
        .legacy_paths(true)
        .cors_origins(["https://page.example"])
        .trusted_proxies(["10.0.0.1".parse().unwrap()])
        .error_uri("https://as.example/errors")
        .dangerous()
        .allow_get()
        .build()
        .unwrap()
}

#[test]
fn noise_is_answered_too() {
    let server = Harness::new();
    let mut noise = Noise(42);
    for round in 0..3000 {
        let body: Vec<u8> = (0..noise.below(200)).map(|_| u8::try_from(noise.below(256)).unwrap()).collect();
        let header: Vec<u8> = (0..noise.below(60)).map(|_| u8::try_from(noise.below(256)).unwrap()).collect();
        let http = Http::form(body).header("authorization", header);
        let answer = server.send(http);
        check(&answer, &round);
        assert!(matches!(answer.status, 400 | 401), "{answer:?}");
    }
    assert_eq!(server.grants(), 0);
}
