//! The decoded parameters that one request has.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, RequestFailure};
use crate::parameter::Parameter;

/// The decoded parameters of one request.
#[derive(Clone, Default)]
pub(crate) struct Parameters<'a> {
    /// As many as most requests have at the most, so that they need no allocation.
    first: [Option<Defined<'a>>; 6],
    more: Vec<Defined<'a>>,
    other: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The defined ones that are there, and those that are there again: most are not.
    present: u32,
    repeated: u32,
}

type Defined<'a> = (Parameter, Cow<'a, str>);

impl<'a> Parameters<'a> {
    pub(crate) fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        match Parameter::named(&name) {
            Some(parameter) => self.set(parameter, value),
            None => self.other.push((name, value)),
        }
    }

    pub(crate) fn set(&mut self, parameter: Parameter, value: Cow<'a, str>) {
        self.repeated |= self.present & parameter.bit();
        self.present |= parameter.bit();
        let defined = (parameter, value);
        match self.first.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(defined),
            None => self.more.push(defined),
        }
    }

    /// In the order of the request.
    fn defined(&self) -> impl Iterator<Item = &Defined<'a>> + Clone {
        self.first.iter().map_while(Option::as_ref).chain(&self.more)
    }

    /// The value; an empty one counts as absent (RFC 6749 §3.2).
    pub(crate) fn get(&self, parameter: Parameter) -> Option<&str> {
        if self.present & parameter.bit() == 0 {
            return None;
        }
        let (_, value) = self.defined().find(|(own, _)| *own == parameter)?;
        Some(&**value).filter(|value| !value.is_empty())
    }

    pub(crate) fn require(&self, parameter: Parameter) -> Result<&str, Error> {
        self.get(parameter).ok_or(Error::missing(parameter))
    }

    /// The values of a parameter that no specification defines.
    pub(crate) fn other<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        let named = self.other.iter().filter(move |(own, _)| own == name);
        named.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    pub(crate) fn is_repeated(&self, parameter: Parameter) -> bool {
        self.repeated & parameter.bit() != 0
    }

    /// No defined parameter occurs twice, even with the same value (RFC 6749 §3.2).
    pub(crate) fn refuse_repetition(&self) -> Result<(), Error> {
        if self.repeated == 0 {
            return Ok(());
        }
        match self.defined().find(|(parameter, _)| self.is_repeated(*parameter)) {
            Some((parameter, _)) => Err(RequestFailure::Repeated(*parameter).into()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Parameters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.debug_list().entries(self.defined().map(|(parameter, _)| parameter.as_str())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_past_the_usual_number_are_kept_and_not_repeated_either() {
        let many = [
            Parameter::GrantType,
            Parameter::ClientId,
            Parameter::ClientSecret,
            Parameter::Code,
            Parameter::RedirectUri,
            Parameter::CodeVerifier,
            Parameter::Scope,
            Parameter::State,
        ];
        let mut parameters = Parameters::default();
        for parameter in many {
            parameters.push(parameter.as_str().into(), format!("of {parameter}").into());
        }
        for parameter in many {
            assert_eq!(parameters.get(parameter), Some(&*format!("of {parameter}")));
            assert!(!parameters.is_repeated(parameter));
            let mut again = parameters.clone();
            for _ in 0..2 {
                again.push(parameter.as_str().into(), "again".into());
                assert!(again.is_repeated(parameter), "{parameter}");
                assert!(again.refuse_repetition().is_err(), "{parameter}");
                assert_eq!(again.get(parameter), parameters.get(parameter));
            }
        }
        assert!(parameters.refuse_repetition().is_ok());
        assert!(many.len() > parameters.first.len());
    }
}
