//! HTML → a tree of elements, under limits.
//!
//! A parser that follows the standard can be made to work for minutes, or to fill the memory, by a
//! page of a few kilobytes: every `<p>` looks through all elements that are open, and after each
//! `</p>` the `<b>` and `<a>` that were never closed are opened again, all of them. So the parser
//! is fed tag by tag, what it does is counted, and a page that asks for far more than real pages do
//! is refused.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};

use html5ever::driver::{self, ParseOpts, Parser};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, QualName, local_name, ns};
use scraper::{Html, HtmlTreeSink};

/// Real pages have 92 to 364 KB, copies saved from a browser up to 623 KB.
pub const MAX_BYTES: usize = 2 << 20;
/// Attributes and nodes of a tree. Real pages have up to 18,000; these take about 5 MB, and there are
/// as many trees at once as readers.
const MAX_NODES: usize = 40_000;
/// Elements around an element. Real pages have up to 24.
const MAX_DEPTH: usize = 128;
/// What the parser asks and tells while it builds the tree: up to 85,000 times for a
/// real page.
const MAX_STEPS: usize = 2_000_000;
/// Bytes after which a parser that has still said nothing is in a tag, a comment or a run of white
/// space of that length. Real tags have up to 6 KB.
const MAX_SILENCE: usize = 16 << 10;
/// Characters of one text that are looked at. Elements in one another have the same text, all of
/// it, and a name of two megabytes is none.
pub const MAX_TEXT: usize = 4 << 10;
/// The longest piece that the parser gets at once.
const PIECE: usize = 4 << 10;

/// A page that is no page of the site's, for it would take too long or too much memory to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too large: {0}")]
pub struct TooLarge(&'static str);

/// The tree of a page. Bytes that are not UTF-8 are replaced.
pub fn document(html: &[u8]) -> Result<Html, TooLarge> {
    let sink = Counting::new(Html::new_document());
    grow(driver::parse_document(sink, ParseOpts::default()), html)
}

/// The tree of a piece of a page's body.
pub fn fragment(html: &str) -> Result<Html, TooLarge> {
    let sink = Counting::new(Html::new_fragment());
    let body = QualName::new(None, ns!(html), local_name!("body"));
    let parser = driver::parse_fragment(sink, ParseOpts::default(), body, Vec::new(), false);
    grow(parser, html.as_bytes())
}

/// Refuses a page by its length alone.
pub fn check_length(html: &[u8]) -> Result<(), TooLarge> {
    if html.len() > MAX_BYTES {
        return Err(TooLarge("it has over 2 MiB"));
    }
    Ok(())
}

fn grow(mut parser: Parser<Counting>, html: &[u8]) -> Result<Html, TooLarge> {
    check_length(html)?;
    for chunk in html.utf8_chunks() {
        let mut rest = chunk.valid();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_end(rest));
            feed(&mut parser, piece)?;
            rest = after;
        }
        if !chunk.invalid().is_empty() {
            feed(&mut parser, "\u{fffd}")?;
        }
    }
    let html = parser.finish();
    // Elements may have been moved deeper after they were put into the tree.
    if { html.tree.nodes() }.any(|node| node.ancestors().nth(MAX_DEPTH).is_some()) {
        return Err(TOO_DEEP);
    }
    Ok(html)
}

/// One tag and the text behind it, or as much of that as may be fed at once.
fn piece_end(html: &str) -> usize {
    let mut end = html.len().min(PIECE);
    while !html.is_char_boundary(end) {
        end -= 1;
    }
    let tag = memchr::memchr(b'<', &html.as_bytes()[1..end]);
    tag.map_or(end, |tag| tag + 1)
}

fn feed(parser: &mut Parser<Counting>, piece: &str) -> Result<(), TooLarge> {
    parser.process(StrTendril::from_slice(piece));
    parser.tokenizer.sink.sink.check(piece.len())
}

const TOO_DEEP: TooLarge = TooLarge("its elements stand too deep in one another");

type Handle = <HtmlTreeSink as TreeSink>::Handle;

/// Builds the tree, and counts.
struct Counting {
    tree: HtmlTreeSink,
    nodes: Cell<usize>,
    steps: Cell<usize>,
    is_too_deep: Cell<bool>,
    /// Steps when the last piece had been fed, and bytes fed since there was a step.
    seen: Cell<usize>,
    silence: Cell<usize>,
}

impl Counting {
    fn new(html: Html) -> Self {
        Counting {
            tree: HtmlTreeSink(RefCell::new(html)),
            nodes: Cell::new(0),
            steps: Cell::new(0),
            is_too_deep: Cell::new(false),
            seen: Cell::new(0),
            silence: Cell::new(0),
        }
    }

    fn step(&self) -> &HtmlTreeSink {
        self.steps.set(self.steps.get() + 1);
        &self.tree
    }

    fn make(&self, nodes: usize) -> &HtmlTreeSink {
        self.nodes.set(self.nodes.get() + nodes);
        self.step()
    }

    /// A step that puts something into the tree.
    fn grow(&self, parent: Handle) -> &HtmlTreeSink {
        let tree = self.step();
        let html = tree.0.borrow();
        let parent = html.tree.get(parent).expect("a node of this tree");
        if parent.ancestors().nth(MAX_DEPTH).is_some() {
            self.is_too_deep.set(true);
        }
        tree
    }

    fn check(&self, fed: usize) -> Result<(), TooLarge> {
        let steps = self.steps.get();
        let silence = if steps == self.seen.replace(steps) {
            self.silence.get() + fed
        } else {
            0
        };
        self.silence.set(silence);
        if self.nodes.get() > MAX_NODES {
            return Err(TooLarge("it has too many elements"));
        }
        if self.is_too_deep.get() {
            return Err(TOO_DEEP);
        }
        if steps > MAX_STEPS {
            return Err(TooLarge("its elements are too entangled"));
        }
        if silence > MAX_SILENCE {
            return Err(TooLarge("a single tag or comment of it has over 16 KiB"));
        }
        Ok(())
    }
}

impl TreeSink for Counting {
    type Handle = Handle;
    type Output = Html;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Html {
        self.tree.finish()
    }

    // Nobody reads them, and each character can be one.
    fn parse_error(&self, _: Cow<'static, str>) {
        self.step();
    }

    fn get_document(&self) -> Handle {
        self.step().get_document()
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> Ref<'a, QualName> {
        self.step().elem_name(target)
    }

    fn create_element(
        &self,
        name: QualName,
        attributes: Vec<Attribute>,
        flags: ElementFlags,
    ) -> Handle {
        self.make(1 + attributes.len())
            .create_element(name, attributes, flags)
    }

    fn create_comment(&self, text: StrTendril) -> Handle {
        self.make(1).create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> Handle {
        self.make(1).create_pi(target, data)
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.count_text(&child);
        self.grow(*parent).append(parent, child);
    }

    fn append_before_sibling(&self, sibling: &Handle, child: NodeOrText<Handle>) {
        self.count_text(&child);
        self.grow(*sibling).append_before_sibling(sibling, child);
    }

    fn append_based_on_parent_node(
        &self,
        element: &Handle,
        before: &Handle,
        child: NodeOrText<Handle>,
    ) {
        self.count_text(&child);
        self.grow(*element)
            .append_based_on_parent_node(element, before, child);
    }

    fn append_doctype_to_document(
        &self,
        name: StrTendril,
        public_id: StrTendril,
        system_id: StrTendril,
    ) {
        self.make(1)
            .append_doctype_to_document(name, public_id, system_id);
    }

    fn get_template_contents(&self, target: &Handle) -> Handle {
        self.step().get_template_contents(target)
    }

    fn same_node(&self, x: &Handle, y: &Handle) -> bool {
        self.step().same_node(x, y)
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.step().set_quirks_mode(mode);
    }

    fn add_attrs_if_missing(&self, target: &Handle, attributes: Vec<Attribute>) {
        self.make(attributes.len())
            .add_attrs_if_missing(target, attributes);
    }

    fn remove_from_parent(&self, target: &Handle) {
        self.step().remove_from_parent(target);
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        self.grow(*new_parent).reparent_children(node, new_parent);
    }
}

impl Counting {
    /// A text is a node of its own, unless it is joined to another one.
    fn count_text(&self, child: &NodeOrText<Handle>) {
        if let NodeOrText::AppendText(_) = child {
            self.make(1);
        }
    }
}
