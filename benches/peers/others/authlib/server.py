"""Authlib with client credentials on Flask and gunicorn: server.py ID SECRET."""

import logging
import sys

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from flask import Flask
from gunicorn.app.base import BaseApplication

ID, SECRET = sys.argv[1:3]


class Client(ClientMixin):
    def get_client_id(self):
        return ID

    def get_allowed_scope(self, scope):
        return scope if scope == "orders.read" else ""

    def check_client_secret(self, client_secret):
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


client = Client()
tokens = {}


def save_token(token, request):
    tokens[token["access_token"]] = (token, request.client.get_client_id())


app = Flask(__name__)
server = AuthorizationServer(
    app,
    query_client=lambda client_id: client if client_id == ID else None,
    save_token=save_token,
)
server.register_grant(grants.ClientCredentialsGrant)


@app.route("/oauth/token", methods=["POST"])
def issue_token():
    return server.create_token_response()


class Application(BaseApplication):
    def load_config(self):
        self.cfg.set("bind", "127.0.0.1:0")
        self.cfg.set("worker_class", "gthread")
        self.cfg.set("threads", 16)
        self.cfg.set("loglevel", "error")
        self.cfg.set("when_ready", ready)

    def load(self):
        return app


def ready(arbiter):
    host, port = arbiter.LISTENERS[0].sock.getsockname()
    print(f"listening on http://{host}:{port}", flush=True)


logging.disable()
Application().run()
