//! `[admin]`: somebody who can log in.

use super::Draft;
use crate::spec::sections::{Admin, Login};

impl Draft<'_> {
    pub(super) fn admin(&mut self, admin: Option<&Admin>) {
        let Some(admin) = admin else { return };
        if admin.username.is_none() && admin.email.is_none() && !self.in_doubt("/admin") {
            let hint = "add `username = \"admin\"`, or `email = \"operator\"`, or both";
            self.key_error(
                "/admin",
                "`[admin]` says nothing of who the administrator is",
                hint,
            );
            return;
        }
        let (name, there) = match admin.login {
            Some(Login::Username) => ("username", admin.username.is_some()),
            Some(Login::Email) => ("email", admin.email.is_some()),
            None => return,
        };
        if !there && !self.in_doubt(&format!("/admin/{name}")) {
            let message = format!("nobody can log in with the `{name}`, for there is none");
            self.error(
                "/admin/login",
                message,
                format!("add `{name}`, or remove `login`"),
            );
        }
    }
}
