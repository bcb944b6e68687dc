//! Pages about grantor.
