//! A response that is not the page: why, by its status, its redirect and its content.

use crate::http::decode::Inflater;
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::site::block_page;

impl Page {
    /// Returns the page if its status is 200. Otherwise the error is that of the redirect that was not
    /// followed, [`Reason::Challenge`] for a block page, or the reason for the status. A 404 or 410 is
    /// [`Reason::Gone`] whatever its page says.
    pub fn require_status_200(mut self) -> Result<Self, PageError> {
        if self.status == 200 {
            return Ok(self);
        }
        if let Some(error) = self.not_followed.take() {
            return Err(*error);
        }
        let mut detail = format!("HTTP status {}", self.status);
        let reason = Reason::of_status(self.status);
        if reason == Reason::Gone {
            return Err(PageError::new(reason, detail));
        }
        let mut inflater = Inflater::default();
        let html = self.inflate(&mut inflater).unwrap_or_default();
        Err(match block_page::sure_sign(&self.headers, html) {
            Some(sign) => PageError::new(Reason::Challenge, format!("{detail} with {sign}")),
            None => {
                let product = block_page::product_before(&self.headers);
                if let Some(product) = product.filter(|_| reason.is_refusal()) {
                    detail += &format!(" from {product}");
                }
                PageError::new(reason, detail)
            }
        })
    }
}
