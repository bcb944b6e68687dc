//! A person who signs in and allows whatever is asked for.

use oauth2::url::Url;

use crate::Outcome;

pub(crate) struct Browser {
    origin: Url,
    agent: ureq::Agent,
}

/// Where the browser ends.
pub(crate) struct Answer(Url);

impl Answer {
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.0.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
    }
}

impl Browser {
    pub(crate) fn new(origin: &str) -> Self {
        Self { origin: origin.parse().expect("an origin is a URL"), agent: crate::agent() }
    }

    pub(crate) fn allow(&mut self, url: &str) -> Outcome<Answer> {
        let login = self.get(url)?;
        let mut fields = hidden(&login);
        fields.extend([("username".into(), "alice".into()), ("password".into(), "wonderland".into())]);
        let next = self.post("/login", &fields)?;
        let consent = self.get(next.as_str())?;
        let mut fields = hidden(&consent);
        fields.push(("decision".into(), "allow".into()));
        let scopes = consent.split(r#"name="scope" value=""#).skip(1);
        fields.extend(scopes.filter_map(until_quote).map(|scope| ("scope".into(), scope)));
        self.post("/oauth/authorize", &fields).map(Answer)
    }

    /// The page, at the end of all redirects.
    fn get(&mut self, url: &str) -> Outcome<String> {
        let mut answer = self.agent.get(url).call()?;
        match answer.headers().get("location") {
            Some(location) => self.get(self.origin.join(location.to_str()?)?.as_str()),
            None => Ok(answer.body_mut().read_to_string()?),
        }
    }

    /// Where the answer leads to.
    fn post(&mut self, path: &str, fields: &[(String, String)]) -> Outcome<Url> {
        let form = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let answer = self.agent.post(self.origin.join(path)?.as_str()).send_form(form)?;
        let location =
            answer.headers().get("location").ok_or_else(|| format!("{path}: {}", answer.status()))?;
        Ok(self.origin.join(location.to_str()?)?)
    }
}

fn hidden(page: &str) -> Vec<(String, String)> {
    let inputs = page.split(r#"<input type="hidden" name=""#).skip(1);
    inputs
        .filter_map(|rest| Some((until_quote(rest)?, until_quote(rest.split_once(r#"value=""#)?.1)?)))
        .collect()
}

fn until_quote(text: &str) -> Option<String> {
    text.split('"').next().map(|value| value.replace("&#x2f;", "/").replace("&amp;", "&"))
}
