//! A response that is not the page: why, by its status, its redirect and its content.

use crate::http::decode::Inflater;
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::site::block_page::{self, Evidence};

impl Page {
    /// Returns the page if its status is 200. Otherwise the error is that of the redirect that was not
    /// followed, [`Reason::Challenge`] for a block page, or the reason for the status. What counts as a sign
    /// of a block page depends on the status: the page for one that is gone, or of a site that is out of
    /// order, may say anything.
    pub fn require_status_200(mut self) -> Result<Self, PageError> {
        if self.status == 200 {
            return Ok(self);
        }
        if let Some(error) = self.not_followed.take() {
            return Err(*error);
        }
        let mut detail = format!("HTTP status {}", self.status);
        let reason = Reason::of_status(self.status);
        let mut inflater = Inflater::default();
        let html = self.inflate(&mut inflater).unwrap_or_default();
        let weakest = match reason {
            Reason::Gone | Reason::Busy | Reason::ServerError => Evidence::Title,
            _ => Evidence::Word,
        };
        Err(match block_page::sign(&self.headers, html, weakest) {
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
