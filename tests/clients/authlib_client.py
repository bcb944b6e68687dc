"""The Python library authlib as a client of an example server: python authlib_client.py ORIGIN"""

import html
import os
import re
import sys
from urllib.parse import parse_qs, urlsplit

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

ORIGIN = sys.argv[1]
CALLBACK = "http://127.0.0.1:7777/callback"
SECRET = "s3cr3t: 100% /+=&"
checks = 0


def check(what, condition):
    global checks
    if not condition:
        sys.exit(f"authlib: {what}: failed")
    checks += 1


def refused(what, error, call):
    try:
        call()
    except OAuthError as failure:
        check(f"{what}: {failure.error}", failure.error == error)
    else:
        sys.exit(f"authlib: {what}: was not refused")


def orders(token):
    headers = {"authorization": f"Bearer {token['access_token']}"}
    return requests.get(f"{ORIGIN}/api/orders", headers=headers).status_code


class Browser:
    """A person who signs in and allows whatever is asked for."""

    def __init__(self):
        self.session = requests.Session()

    def allow(self, url):
        page = self.session.get(url)
        if "/login" in page.url:
            fields = self.hidden(page) | {"username": "alice", "password": "wonderland"}
            page = self.session.post(f"{ORIGIN}/login", fields)
        fields = list(self.hidden(page).items()) + [("decision", "allow")]
        fields += [("scope", scope) for scope in re.findall(r'name="scope" value="([^"]+)"', page.text)]
        answer = self.session.post(f"{ORIGIN}/oauth/authorize", fields, allow_redirects=False)
        return answer.headers["location"]

    @staticmethod
    def hidden(page):
        inputs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
        return {name: html.unescape(value) for name, value in inputs}


def main():
    metadata = requests.get(f"{ORIGIN}/.well-known/oauth-authorization-server").json()
    check("metadata", metadata["issuer"] == ORIGIN)
    endpoint = metadata["token_endpoint"]

    reports = OAuth2Session("reports", SECRET, scope="orders.read orders.write")
    token = reports.fetch_token(endpoint, grant_type="client_credentials")
    check("client credentials", token["scope"] == "orders.read orders.write" and orders(token) == 200)

    batch = OAuth2Session("batch", "batch-secret", token_endpoint_auth_method="client_secret_post")
    check("client_secret_post", orders(batch.fetch_token(endpoint, grant_type="client_credentials")) == 200)
    wrong = OAuth2Session("batch", "wrong", token_endpoint_auth_method="client_secret_post")
    refused("wrong secret", "invalid_client", lambda: wrong.fetch_token(endpoint, grant_type="client_credentials"))

    token = reports.fetch_token(endpoint, username="alice", password="wonderland")
    check("password", orders(token) == 200)
    wrong_password = lambda: reports.fetch_token(endpoint, username="alice", password="underland")
    refused("wrong password", "invalid_grant", wrong_password)

    code_flow(metadata, "webapp", None)
    code_flow(metadata, "reports", SECRET)
    print(f"authlib: {checks} checks")


def code_flow(metadata, client_id, secret):
    method = "client_secret_basic" if secret else "none"
    client = OAuth2Session(
        client_id,
        secret,
        scope="orders.read",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint_auth_method=method,
    )
    verifier = generate_token(48)
    url, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
    answer = Browser().allow(url)
    check("iss", parse_qs(urlsplit(answer).query)["iss"] == [ORIGIN])

    endpoint = metadata["token_endpoint"]
    redeem = lambda: client.fetch_token(
        endpoint, authorization_response=answer, state=state, code_verifier=verifier
    )
    first = redeem()
    check("code", orders(first) == 200)

    second = client.refresh_token(endpoint, refresh_token=first["refresh_token"])
    check("rotation", second["refresh_token"] != first["refresh_token"] and orders(second) == 200)

    api = OAuth2Session("orders-api", "orders-api-secret")
    introspect = lambda token: api.introspect_token(
        metadata["introspection_endpoint"], token=token["access_token"]
    ).json()
    told = introspect(second)
    check("introspection", told["active"] and told["username"] == "alice" and told["client_id"] == client_id)

    ended = client.revoke_token(metadata["revocation_endpoint"], token=second["refresh_token"])
    check("revocation", ended.status_code == 200 and introspect(second) == {"active": False})
    check("revoked", orders(second) == 401)
    refused("refresh after revocation", "invalid_grant", lambda: client.refresh_token(endpoint, refresh_token=second["refresh_token"]))
    refused("spent code", "invalid_grant", redeem)


main()
