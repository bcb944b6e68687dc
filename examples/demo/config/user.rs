//! `[[user]]`.

use grantor::password::PasswordHash;
use grantor::{Password, Subject, User};

use super::scope::Known;
use super::section::{InvalidConfig, Section};

/// A user whose password may be yet to be hashed.
pub(crate) struct UserEntry {
    pub(crate) user: User,
    pub(crate) password: PasswordEntry,
}

pub(crate) enum PasswordEntry {
    Plain(Password),
    Hash(PasswordHash),
}

pub(super) fn read(mut section: Section, known: &Known) -> Result<UserEntry, InvalidConfig> {
    let username: String = section.require("username")?;
    section.set_owner("user", &username);
    let subject = Subject::new(username.as_str()).map_err(|problem| section.error("username", problem))?;
    let password = read_password(&mut section)?;
    let user = section.apply(User::new(subject, username), "enabled", User::enabled)?;
    let user = match known.read(&mut section, "scopes")? {
        Some(scopes) => user.scopes(scopes),
        None => user,
    };
    section.finish()?;
    Ok(UserEntry { user, password })
}

fn read_password(section: &mut Section) -> Result<PasswordEntry, InvalidConfig> {
    let password: Option<String> = section.take("password")?;
    let hash: Option<String> = section.take("password_hash")?;
    match (password, hash) {
        (Some(password), None) if !password.is_empty() => Ok(PasswordEntry::Plain(Password::new(password))),
        (Some(_), None) => Err(section.error("password", "it is empty")),
        (None, Some(hash)) => {
            let hash = hash.parse().map_err(|problem| section.error("password_hash", problem))?;
            Ok(PasswordEntry::Hash(hash))
        }
        (Some(_), Some(_)) => Err(section.error("password_hash", "there is a password already")),
        (None, None) => Err(section.error("password", "it is missing")),
    }
}
