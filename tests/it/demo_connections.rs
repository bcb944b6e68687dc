//! Clients that are slow, broken, too long or gone, at the example on each framework.

use crate::demo::browser::on_each;
use crate::demo::process::{Connection, get, token};

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";

#[test]
fn who_closes_one_half_of_a_connection_is_answered_on_the_other() {
    on_each(|demo, _| {
        for _ in 0..50 {
            let mut connection = demo.connect();
            connection.write(&token("/oauth/token", "reports:reports-secret", CLIENT_CREDENTIALS));
            connection.say_no_more();
            assert_eq!(connection.read().status, 200);
            assert!(connection.closes());
        }
    });
}

#[test]
fn gen_21_a_body_that_is_too_large_is_refused_in_json_even_to_one_who_sends_it_all() {
    on_each(|demo, _| {
        let size = 10_000_000;
        let head =
            "POST /oauth/token HTTP/1.1\r\nHost: demo\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        let announced = format!("{head}Content-Length: {size}\r\n\r\n");
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n");
        for (head, tail) in [(announced, ""), (chunked, "\r\n0\r\n\r\n")] {
            let mut connection = demo.connect();
            connection.write(&head);
            connection.write(&"a".repeat(size));
            connection.write(tail);
            let response = connection.read();
            assert_eq!((response.status, response.error()), (413, "invalid_request".to_owned()), "{head}");
        }
    });
}

#[test]
fn gen_21_a_length_that_is_too_large_is_refused_before_the_body() {
    on_each(|demo, _| {
        let response =
            demo.send("POST /oauth/token HTTP/1.1\r\nHost: demo\r\nContent-Length: 10000000\r\n\r\n");
        assert_eq!(response.status, 413);
    });
}

#[test]
fn gen_21_slow_clients_are_cut_off() {
    on_each(|demo, _| {
        let mut slow = demo.connect();
        slow.write("POST /oauth/token HTTP/1.1\r\nHost: demo\r\nContent-Length: 29\r\n\r\ngrant_type=");
        let silent = ["", "P", "PRI * HTTP/2.0", "GET /healthz HTTP/1.1\r\nHost: "].map(|beginning| {
            let mut connection = demo.connect();
            connection.write(beginning);
            connection
        });
        let response = slow.read();
        assert_eq!((response.status, response.error()), (408, "invalid_request".to_owned()));
        assert_eq!(response.header("connection"), Some("close"));
        assert!(silent.into_iter().all(Connection::ends));
        assert_eq!(demo.send(&get("/healthz")).status, 200);
    });
}

#[test]
fn broken_requests_are_refused_and_the_server_goes_on() {
    on_each(|demo, _| {
        for request in [
            "\0\u{1}\u{2}\r\n\r\n".to_owned(),
            "GET\r\n\r\n".to_owned(),
            "POST /oauth/token HTTP/1.1\r\nHost: demo\r\nContent-Length: -1\r\n\r\n".to_owned(),
            "POST /oauth/token HTTP/1.1\r\nHost: demo\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            "POST /oauth/token HTTP/1.0\r\n\r\n".to_owned(),
        ] {
            assert_eq!(demo.send(&request).status, 400, "{request:?}");
        }
        let huge = format!("GET /healthz HTTP/1.1\r\nHost: demo\r\nX: {}\r\n\r\n", "a".repeat(600_000));
        assert_eq!(demo.send(&huge).status, 431);
        assert_eq!(demo.send(&get("/healthz")).status, 200);
    });
}
