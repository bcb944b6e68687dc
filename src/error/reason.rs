//! The stable name of each reason, for logs and alerts.

use super::{ClientFailure, Error, GrantFailure, RequestFailure, ScopeFailure, ServerFailure, Unavailable};

impl Error {
    /// A name for the reason that stays the same from version to version, for logs, metrics
    /// and alerts. All of them are explained in [`guide::events`](crate::guide::events).
    ///
    /// ```
    /// # use grantor::Error;
    /// # use grantor::error::GrantFailure;
    /// assert_eq!(Error::from(GrantFailure::CodeReplayed).reason(), "code_replayed");
    /// ```
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::InvalidRequest { reason } => request(*reason),
            Self::InvalidClient { reason } => client(reason),
            Self::InvalidGrant { reason } => grant(*reason),
            Self::UnauthorizedClient { .. } => "client_may_not_use_grant_type",
            Self::UnsupportedGrantType => "grant_type_off",
            Self::InvalidScope { reason } => scope(reason),
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "response_type_unsupported",
            Self::Unavailable { reason } => unavailable(reason),
            Self::Server { source } => server(source),
        }
    }
}

const fn request(reason: RequestFailure) -> &'static str {
    match reason {
        RequestFailure::Missing(_) => "parameter_missing",
        RequestFailure::Repeated(_) => "parameter_repeated",
        RequestFailure::Malformed(_) => "parameter_malformed",
        RequestFailure::Form => "form_malformed",
        RequestFailure::TooManyParameters => "too_many_parameters",
        RequestFailure::TooLong => "parameter_too_long",
        RequestFailure::BodyTooLarge => "body_too_large",
        RequestFailure::MediaType => "media_type",
        RequestFailure::Method => "method",
        RequestFailure::Insecure => "not_https",
        RequestFailure::SeveralCredentials => "several_credentials",
        RequestFailure::ClientIdMismatch => "client_id_mismatch",
        RequestFailure::VerifierWithoutChallenge => "verifier_without_challenge",
        RequestFailure::ChallengeRequired => "challenge_required",
        RequestFailure::ChallengeMethod => "challenge_method",
        RequestFailure::MethodWithoutChallenge => "method_without_challenge",
        RequestFailure::Client => "authorize_client_unknown",
        RequestFailure::RedirectUri => "redirect_uri_unregistered",
        RequestFailure::Ticket => "ticket_invalid",
    }
}

const fn client(reason: &ClientFailure) -> &'static str {
    match reason {
        ClientFailure::Missing => "client_credentials_missing",
        ClientFailure::Unsupported => "client_credentials_unsupported",
        ClientFailure::Unknown(_) => "client_unknown",
        ClientFailure::Disabled(_) => "client_disabled",
        ClientFailure::WrongSecret(_) => "client_wrong_secret",
        ClientFailure::ExpiredSecret(_) => "client_expired_secret",
        ClientFailure::MethodNotAllowed(_) => "client_method_not_allowed",
    }
}

const fn grant(reason: GrantFailure) -> &'static str {
    match reason {
        GrantFailure::Malformed => "token_malformed",
        GrantFailure::Unknown => "grant_unknown",
        GrantFailure::Foreign => "grant_foreign",
        GrantFailure::Revoked => "grant_revoked",
        GrantFailure::UserUnknown => "user_unknown",
        GrantFailure::UserDisabled => "user_disabled",
        GrantFailure::CodeExpired => "code_expired",
        GrantFailure::CodeRaced => "code_raced",
        GrantFailure::CodeReplayed => "code_replayed",
        GrantFailure::RedirectUriMissing => "redirect_uri_missing",
        GrantFailure::RedirectUriMismatch => "redirect_uri_mismatch",
        GrantFailure::VerifierMissing => "verifier_missing",
        GrantFailure::VerifierMismatch => "verifier_mismatch",
        GrantFailure::RefreshExpired => "refresh_expired",
        GrantFailure::RefreshIdle => "refresh_idle",
        GrantFailure::RefreshLimitReached => "refresh_limit_reached",
        GrantFailure::RefreshDamaged => "refresh_damaged",
        GrantFailure::RefreshReused => "refresh_reused",
        GrantFailure::RefreshLate => "refresh_late",
        GrantFailure::RefreshClockSkew => "refresh_clock_skew",
        GrantFailure::RefreshAhead => "refresh_ahead",
        GrantFailure::RefreshKeyChanged => "refresh_key_changed",
        GrantFailure::UnknownUsername => "login_unknown",
        GrantFailure::WrongPassword => "login_wrong_password",
        GrantFailure::LoginDisabled => "login_disabled",
    }
}

const fn scope(reason: &ScopeFailure) -> &'static str {
    match reason {
        ScopeFailure::Malformed => "scope_malformed",
        ScopeFailure::Required => "scope_required",
        ScopeFailure::TooWide { .. } => "scope_too_wide",
    }
}

const fn unavailable(reason: &Unavailable) -> &'static str {
    match reason {
        Unavailable::Store(_) => "store_unavailable",
        Unavailable::Full => "store_full",
        Unavailable::Contention => "grant_contended",
        Unavailable::Passwords => "passwords_busy",
        Unavailable::Attempts { .. } => "too_many_attempts",
    }
}

const fn server(source: &ServerFailure) -> &'static str {
    match source {
        ServerFailure::Store(_) => "store_failed",
        ServerFailure::Entropy(_) => "entropy_failed",
        ServerFailure::IdTaken => "grant_id_taken",
        ServerFailure::Password(_) => "password_unchecked",
        ServerFailure::NoVerifier => "no_password_verifier",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn each_reason_has_a_name_of_its_own_and_an_entry_in_the_guide() {
        let (code, _) = include_str!("reason.rs").split_once("#[cfg(test)]").unwrap();
        let guide = include_str!("../guide/events.md");
        let names: Vec<&str> =
            code.lines().filter_map(|line| line.trim().split_once(" => \"")?.1.strip_suffix("\",")).collect();
        assert!(names.len() > 60, "{names:?}");
        let mut seen = HashSet::new();
        for name in names {
            assert!(seen.insert(name), "{name} is there twice");
            assert!(guide.contains(&format!("| `{name}` |")), "{name} is not in the guide");
        }
    }
}
