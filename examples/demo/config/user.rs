//! `[[user]]`.

use grantor::{Subject, User};

use super::scope::Known;
use super::section::{InvalidConfig, Section};

pub(super) fn read(mut section: Section, known: &Known) -> Result<User, InvalidConfig> {
    let username: String = section.require("username")?;
    section.set_owner("user", &username);
    let subject = Subject::new(username.as_str()).map_err(|problem| section.error("username", problem))?;
    check_password(&mut section)?;
    let user = section.apply(User::new(subject, username), "enabled", User::enabled)?;
    let user = match known.read(&mut section, "scopes")? {
        Some(scopes) => user.scopes(scopes),
        None => user,
    };
    section.finish()?;
    Ok(user)
}

fn check_password(section: &mut Section) -> Result<(), InvalidConfig> {
    let password: Option<String> = section.take("password")?;
    let hash: Option<String> = section.take("password_hash")?;
    match (password, hash) {
        (Some(password), None) if !password.is_empty() => Ok(()),
        (Some(_), None) => Err(section.error("password", "it is empty")),
        (None, Some(hash)) if hash.starts_with("$argon2id$") => Ok(()),
        (None, Some(_)) => Err(section.error("password_hash", "it does not begin with $argon2id$")),
        (Some(_), Some(_)) => Err(section.error("password_hash", "there is a password already")),
        (None, None) => Err(section.error("password", "it is missing")),
    }
}
