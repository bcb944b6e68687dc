//! The built-in grants use nothing that extension grants do not have: here they are once more,
//! written outside of the crate, in the place of its own.

use std::sync::Arc;

use grantor::grant_type::{Approval, Authenticated, GrantType};
use grantor::password::{HashPool, PasswordVerifier as _};
use grantor::store::{MemoryClientStore, MemoryTokenStore, MemoryUserStore};
use grantor::testing::block_on;
use grantor::{Builder, Error, GrantTypeName, Parameter, Subject, User, UserPassword};

use crate::support::*;

struct Code;
struct Credentials;
struct Refresh;
struct Password;

impl GrantType for Code {
    fn name(&self) -> GrantTypeName {
        GrantTypeName::AUTHORIZATION_CODE
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        Approval::of_code(request)
    }
}

impl GrantType for Credentials {
    fn name(&self) -> GrantTypeName {
        GrantTypeName::CLIENT_CREDENTIALS
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        if request.client().is_public() {
            let client = request.client().id().clone();
            return Err(Error::UnauthorizedClient { client, grant_type: self.name() });
        }
        Ok(Approval::for_client())
    }
}

impl GrantType for Refresh {
    fn name(&self) -> GrantTypeName {
        GrantTypeName::REFRESH_TOKEN
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        Approval::of_refresh_token(request)
    }
}

impl GrantType for Password {
    fn name(&self) -> GrantTypeName {
        GrantTypeName::PASSWORD
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        let username = request.required(Parameter::Username)?;
        let user = request.log_in(username, request.required(Parameter::Password)?).await?;
        let approval = Approval::for_subject(user.subject().clone()).authenticated_at(request.now());
        Ok(user.may_grant().map_or_else(|| approval, |_| unreachable!("alice may grant everything")))
    }
}

/// What a whole round of requests is answered.
fn round(server: &Harness) -> Vec<(u16, Option<String>, Option<String>)> {
    let login = server.token(&exchange_form(&server.code())).ok();
    let first = refresh_form(login.refresh_token());
    let forms = [
        "grant_type=client_credentials".to_owned(),
        first.clone(),
        format!("{first}&scope=a"),
        "grant_type=password&username=alice&password=wonderland".to_owned(),
        "grant_type=password&username=alice&password=x".to_owned(),
        "grant_type=password&username=alice".to_owned(),
        "grant_type=authorization_code&code=x".to_owned(),
        "grant_type=refresh_token".to_owned(),
    ];
    let answers = forms.iter().map(|form| server.token(form));
    answers
        .map(|it| (it.status, it.error().map(str::to_owned), it.text("scope").map(str::to_owned)))
        .collect()
}

fn server(more: impl FnOnce(Builder) -> Builder) -> Harness {
    let pool = HashPool::builder().cost(64, 1, 1).build().unwrap();
    let hash = block_on(pool.hash_password("wonderland")).unwrap();
    assert!(block_on(pool.verify(Some(&hash), "wonderland")).is_ok());
    let alice = User::new(Subject::new("alice").unwrap(), "alice").password(UserPassword::Phc(hash));
    let users = MemoryUserStore::from_iter([alice]);
    let setup = Setup::default().clients([app().grant_type(GrantTypeName::PASSWORD)]);
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let build = |it: Builder| more(it.users(users).password_verifier(pool));
    setup.build_with(Arc::clone(&clients), MemoryTokenStore::new(), clients, build)
}

#[test]
fn the_built_in_grants_written_outside_answer_the_same() {
    let built_in = server(|builder| builder.dangerous().password_grant());
    let outside = server(|builder| {
        builder.grant_type(Code).grant_type(Credentials).grant_type(Refresh).grant_type(Password)
    });
    let expected = round(&built_in);
    assert_eq!(round(&outside), expected);
    assert_eq!(expected.iter().filter(|(status, ..)| *status == 200).count(), 4);
}
