use crate::clock::Timestamp;
use crate::id::Subject;
use crate::password::PasswordHash;
use crate::scope::Scope;
use crate::store::{UserRegistry, UserStore};
use crate::testing::{join_all, yield_for};
use crate::user::{User, UserPassword};

use super::{Checked, Probe, Rule, Violations, check_each, unmade};

/// Checks a [`UserStore`]: every user comes back as it was put in, under its exact username
/// and its exact subject.
///
/// `new_store` gives a store with the users it is given, up to 100, and no others.
///
/// | rule | what it says |
/// |---|---|
/// | `user_complete` | each field comes back, also of a disabled user, by either name |
/// | `user_unknown` | there is no user but those that were put in |
/// | `user_exact` | usernames and subjects are compared exactly, and are different things |
/// | `user_many` | each of a hundred is found |
///
/// # Errors
/// All the rules that the store broke.
pub async fn user_store<S: UserStore>(new_store: impl AsyncFn(Vec<User>) -> S) -> Result<(), Violations> {
    let users = samples().map_err(Violations::one)?;
    check_each!(new_store(users.clone()); self: user_complete user_unknown user_exact user_many;)
}

/// Checks a [`UserRegistry`]: what is written is seen by the next call.
///
/// `new_store` gives an empty store at each call. To be checked with [`user_store`], too.
///
/// | rule | what it says |
/// |---|---|
/// | `user_put` | a user is there at once, complete, and in the place of the one before |
/// | `user_renamed` | a username that is given up finds nobody |
/// | `user_name_taken` | a username finds the last one who took it, and nobody after that |
/// | `user_remove` | the user is gone at once, by either name; false if there was none |
/// | `user_rehash` | a password hash is replaced only if it is the one that is expected, and nothing else with it; a store that never replaces one keeps the rule |
/// | `user_race` | of changes that are made at once none is lost |
///
/// # Errors
/// All the rules that the store broke.
pub async fn user_registry<S: UserRegistry>(new_store: impl AsyncFn() -> S) -> Result<(), Violations> {
    check_each!(new_store(); self: user_put user_renamed user_name_taken user_remove user_rehash user_race;)
}

async fn user_complete(store: &Probe<impl UserStore>) -> Checked {
    for user in shapes()? {
        store.has_user(&user).await?;
    }
    Ok(())
}

async fn user_unknown(store: &Probe<impl UserStore>) -> Checked {
    for name in ["nobody", " ", "%"] {
        store.lacks_username(name).await?;
        store.lacks_subject(name).await?;
    }
    store.lacks_username("").await
}

async fn user_exact(store: &Probe<impl UserStore>) -> Checked {
    for user in look_alikes()? {
        store.has_user(&user).await?;
    }
    for name in ["ANN", "ann  ", "an", "ann%", "a_n"] {
        store.lacks_username(name).await?;
    }
    for subject in ["S-ANN", "s-ann  ", "s-an", "s-ann%", "s-a_n"] {
        store.lacks_subject(subject).await?;
    }
    store.lacks_subject("ann").await?;
    store.lacks_username("s-ann").await
}

async fn user_many(store: &Probe<impl UserStore>) -> Checked {
    for user in samples()? {
        store.has_user(&user).await?;
    }
    Ok(())
}

async fn user_put(store: &Probe<impl UserRegistry>) -> Checked {
    for user in samples()? {
        store.lacks_username(user.username()).await?;
        store.lacks_subject(user.subject().as_str()).await?;
        store.put_user(&user).await?;
        store.has_user(&user).await?;
    }
    for user in samples()? {
        let changed = user.clone().enabled(!user.is_enabled()).valid_after(Timestamp::from_secs(1));
        store.put_user(&changed).await?;
        store.has_user(&changed).await?;
        store.put_user(&user).await?;
        store.has_user(&user).await?;
    }
    Ok(())
}

async fn user_renamed(store: &Probe<impl UserRegistry>) -> Checked {
    store.put_user(&user("s-1", "ann")?).await?;
    store.put_user(&user("s-1", "Ann")?).await?;
    store.has_user(&user("s-1", "Ann")?).await?;
    store.lacks_username("ann").await?;
    store.put_user(&user("s-2", "ann")?).await?;
    store.has_user(&user("s-2", "ann")?).await?;
    store.has_user(&user("s-1", "Ann")?).await
}

async fn user_name_taken(store: &Probe<impl UserRegistry>) -> Checked {
    let (before, taker) = (user("s-1", "ann")?, user("s-2", "ann")?);
    store.put_user(&before).await?;
    store.put_user(&taker).await?;
    store.has_user(&taker).await?;
    let kept = store.subject(before.subject()).await?;
    store.rule.ensure(kept.is_some(), || "whoever loses a username is gone altogether".into())?;
    // What happens to that user has nothing to do with the name any more.
    store.removes_user(&before, true).await?;
    store.has_user(&taker).await?;
    store.put_user(&user("s-1", "bob")?).await?;
    store.has_user(&taker).await?;
    let next_taker = user("s-3", "ann")?;
    store.put_user(&next_taker).await?;
    store.has_user(&next_taker).await?;
    store.removes_user(&next_taker, true).await?;
    store.lacks_username("ann").await?;
    store.has_user(&user("s-1", "bob")?).await
}

async fn user_remove(store: &Probe<impl UserRegistry>) -> Checked {
    let users = look_alikes()?;
    let (Some(removed), rest) = (users.first(), users.iter().skip(1)) else { return Ok(()) };
    store.removes_user(removed, false).await?;
    for user in &users {
        store.put_user(user).await?;
    }
    for existed in [true, false] {
        store.removes_user(removed, existed).await?;
        store.lacks_username(removed.username()).await?;
        store.lacks_subject(removed.subject().as_str()).await?;
    }
    for user in rest {
        store.has_user(user).await?;
    }
    store.put_user(removed).await?;
    store.has_user(removed).await
}

async fn user_rehash(store: &Probe<impl UserRegistry>) -> Checked {
    let [old, new, other] = [hash("b2xkb2xkb2xk")?, hash("bmV3bmV3bmV3")?, hash("b3RoZXJvdGhlcg")?];
    let with = |user: User, hash: &PasswordHash| user.password(UserPassword::Phc(hash.clone()));
    let ann = with(user("s-ann", "ann")?, &old);
    store.rehashes(&ann, &old, &new, Some(false)).await?;
    store.lacks_subject("s-ann").await?;
    for plain in [user("s-bob", "bob")?, user("s-eve", "eve")?.password(UserPassword::External)] {
        store.put_user(&plain).await?;
        store.rehashes(&plain, &old, &new, Some(false)).await?;
        store.has_user(&plain).await?;
    }
    store.put_user(&ann).await?;
    store.rehashes(&ann, &other, &new, Some(false)).await?;
    store.has_user(&ann).await?;
    // What has become of the user since the hash was read stays.
    let ann = ann.enabled(false).valid_after(Timestamp::from_secs(7));
    store.put_user(&ann).await?;
    let replaced = store.rehashes(&ann, &old, &new, None).await?;
    let ann = if replaced { with(ann, &new) } else { ann };
    store.has_user(&ann).await
}

async fn user_race(store: &Probe<impl UserRegistry>) -> Checked {
    let users = many()?;
    for (round, users) in users.chunks(8).enumerate() {
        let put = async |(at, user): (usize, &User)| {
            yield_for(at * (round % 3)).await;
            store.put_user(user).await
        };
        join_all(users.iter().enumerate().map(put)).await.into_iter().collect::<Checked>()?;
    }
    for user in &users {
        store.has_user(user).await?;
    }
    Ok(())
}

impl<S: UserStore> Probe<S> {
    async fn has_user(&self, wanted: &User) -> Checked {
        let got = self.rule.answer("user", self.store.user(wanted.username()).await)?;
        self.rule.same(format_args!("user {:?}", wanted.username()), &got.as_deref(), &Some(wanted))?;
        let got = self.subject(wanted.subject()).await?;
        self.rule.same(format_args!("subject {:?}", wanted.subject()), &got.as_ref(), &Some(wanted))
    }

    async fn lacks_username(&self, username: &str) -> Checked {
        let got = self.rule.answer("user", self.store.user(username).await)?;
        self.rule.same(format_args!("user {username:?}"), &got, &None)
    }

    async fn lacks_subject(&self, subject: &str) -> Checked {
        let subject = Subject::new(subject).map_err(unmade)?;
        let got = self.subject(&subject).await?;
        self.rule.same(format_args!("subject {subject:?}"), &got, &None)
    }

    async fn subject(&self, subject: &Subject) -> Checked<Option<User>> {
        let got = self.rule.answer("subject", self.store.subject(subject).await)?;
        Ok(got.as_deref().cloned())
    }
}

impl<S: UserRegistry> Probe<S> {
    async fn put_user(&self, user: &User) -> Checked {
        self.rule.answer("put_user", self.store.put_user(user.clone()).await)
    }

    async fn rehashes(
        &self,
        user: &User,
        expected: &PasswordHash,
        new: &PasswordHash,
        wanted: Option<bool>,
    ) -> Checked<bool> {
        let replaced = self.store.replace_password_hash(user.subject(), expected, new.clone()).await;
        let replaced = self.rule.answer("replace_password_hash", replaced)?;
        if let Some(wanted) = wanted {
            self.rule.same("replace_password_hash", &replaced, &wanted)?;
        }
        Ok(replaced)
    }

    async fn removes_user(&self, user: &User, existed: bool) -> Checked {
        let got = self.rule.answer("remove_user", self.store.remove_user(user.subject()).await)?;
        self.rule.same("remove_user", &got, &existed)
    }
}

/// A hash of nothing that anyone uses.
pub(super) const PHC: &str =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

/// A hundred users.
fn samples() -> Checked<Vec<User>> {
    Ok([shapes()?.to_vec(), look_alikes()?.to_vec(), many()?].concat())
}

/// Users that have, between them, all there is to keep. No scope is not the same as any.
fn shapes() -> Checked<[User; 3]> {
    let full = user("Zoë's \"id\" \\ 100%", "zoë@example.org")?
        .enabled(false)
        .valid_after(Timestamp::from_millis(4_102_444_800_123))
        .scopes(Scope::parse("b a").map_err(unmade)?)
        .password(UserPassword::Phc(PHC.parse().map_err(unmade)?));
    let external = user("s-none", "none")?.scopes(Scope::empty()).password(UserPassword::External);
    Ok([full, external, user("s-any", "any")?])
}

/// The last two look the same and are not: one letter, and a letter with an accent.
fn look_alikes() -> Checked<[User; 6]> {
    Ok([
        user("s-ann", "ann")?,
        user("s-Ann", "Ann")?,
        user("s-ann ", "ann ")?,
        user(" s-ann", " ann")?,
        user("s-\u{e9}", "\u{e9}")?,
        user("s-e\u{301}", "e\u{301}")?,
    ])
}

fn many() -> Checked<Vec<User>> {
    (0..91).map(|at| user(&format!("s-{at}"), &format!("user-{at}"))).collect()
}

fn hash(salt: &str) -> Checked<PasswordHash> {
    let output = "iAtGwY5jOIVHaYZ0GOaRXcCTu1gw7sKPPqCdHS+1mqk";
    format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${output}").parse().map_err(unmade)
}

fn user(subject: &str, username: &str) -> Checked<User> {
    Ok(User::new(Subject::new(subject).map_err(unmade)?, username))
}
