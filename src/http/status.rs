//! What a status other than 200 means.

use crate::http::decode::Inflater;
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::site::block_page;

impl Page {
    /// Returns the page if its status is 200, and otherwise an error with the reason for the status. For a
    /// [block page](block_page) that is [`Reason::Challenge`], unless the status is that of a page that is
    /// gone: a site may send that with any words.
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
