//! `[[scope]]`, and lists of scopes.

use grantor::{Scope, ScopeDefinition, ScopeToken};

use super::section::{InvalidConfig, Section};

pub(super) fn read_all(sections: Vec<Section>) -> Result<Vec<ScopeDefinition>, InvalidConfig> {
    let mut scopes: Vec<ScopeDefinition> = Vec::new();
    for mut section in sections {
        let name: String = section.require("name")?;
        let token = ScopeToken::new(name.as_str()).map_err(|problem| section.error("name", problem))?;
        if scopes.iter().any(|other| *other.token() == token) {
            return Err(section.error("name", format_args!("{name:?} is there twice")));
        }
        section.set_owner("scope", &name);
        let description = section.take("description")?.unwrap_or(name);
        let resources = read_resources(&mut section)?;
        section.finish()?;
        let scope = ScopeDefinition::new(token, description);
        scopes.push(resources.into_iter().fold(scope, ScopeDefinition::resource));
    }
    Ok(scopes)
}

/// Each is a method and a path, as in `GET /api/orders/*`.
fn read_resources(section: &mut Section) -> Result<Vec<String>, InvalidConfig> {
    let resources = section.take::<Vec<String>>("resources")?.unwrap_or_default();
    for resource in &resources {
        if !resource.split_once(' ').is_some_and(|(method, path)| !method.is_empty() && path.starts_with('/'))
        {
            return Err(section.error("resources", format_args!("{resource:?} is not a method and a path")));
        }
    }
    Ok(resources)
}

/// The scopes that may be used. A file that describes none leaves them free.
pub(super) struct Known(Option<Scope>);

impl Known {
    pub(super) fn of(scopes: &[ScopeDefinition]) -> Self {
        let all = scopes.iter().map(|scope| scope.token().clone()).collect();
        Self((!scopes.is_empty()).then_some(all))
    }

    /// The scope that the list under `key` makes.
    pub(super) fn read(&self, section: &mut Section, key: &str) -> Result<Option<Scope>, InvalidConfig> {
        let Some(names) = section.take::<Vec<String>>(key)? else { return Ok(None) };
        let tokens = names.into_iter().map(|name| {
            let token = ScopeToken::new(name.as_str())
                .map_err(|problem| section.error(key, format_args!("{name:?}: {problem}")))?;
            match &self.0 {
                Some(known) if !known.contains(&name) => {
                    Err(section.error(key, format_args!("unknown scope {name:?}")))
                }
                _ => Ok(token),
            }
        });
        tokens.collect::<Result<Scope, _>>().map(Some)
    }
}
