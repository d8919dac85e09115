//! HTML → a tree of elements, under limits.
//!
//! A page of a few kilobytes can keep a parser that follows the standard busy for minutes, or fill
//! the memory. At every `<p>` the parser searches all open elements. After each `</p>` it reopens
//! every `<b>` and `<a>` that was never closed. So this module feeds the parser tag by tag and
//! counts its nodes and calls. A page that needs far more than real pages is rejected.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};

use html5ever::driver::{self, ParseOpts, Parser};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, QualName, expanded_name, local_name, ns};
use scraper::{ElementRef, Html, HtmlTreeSink};

/// Maximum size of a page in bytes. Real pages have 92 to 364 KB, copies saved from a browser up to
/// 623 KB.
pub const MAX_BYTES: usize = 2 << 20;
/// Maximum number of attributes and nodes of one tree. Real pages have up to 18,000. This many take
/// about 5 MB, and every parser thread may build a tree at the same time.
const MAX_NODES: usize = 40_000;
/// Maximum nesting depth of elements. Real pages have up to 24.
const MAX_DEPTH: usize = 128;
/// Maximum number of calls from the parser to the tree that it builds. Real pages take up to 85,000.
const MAX_STEPS: usize = 2_000_000;
/// Maximum number of consecutive bytes fed without a call to the tree. After this many, the parser
/// is in a tag, a comment or a run of white space of this length. Real tags have up to 6 KB.
const MAX_SILENT_BYTES: usize = 16 << 10;
/// Maximum number of characters taken from the text of an element. Nested elements all contain the
/// same text, so each of them would copy all of it.
pub const MAX_TEXT: usize = 4 << 10;
/// Maximum size in bytes of a piece that is fed to the parser at once.
const MAX_PIECE: usize = 4 << 10;

/// A page that exceeds a limit: parsing it would take too long or too much memory. No page of the
/// site does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too large: {0}")]
pub struct TooLarge(&'static str);

const TOO_DEEP: TooLarge = TooLarge("its elements are nested too deeply");

/// Parses a page. Bytes that are not UTF-8 are replaced.
pub fn document(html: &[u8]) -> Result<Html, TooLarge> {
    check_length(html)?;
    let sink = LimitedTree::new(Html::new_document());
    build(driver::parse_document(sink, ParseOpts::default()), html)
}

/// Parses a page up to the end of its title: of the first one in HTML that is not in a template or a
/// picture. A page of any length, as the limits of the other functions hold up to there.
pub fn document_up_to_title(html: &[u8]) -> Result<Html, TooLarge> {
    let mut sink = LimitedTree::new(Html::new_document());
    sink.ends_with_title = true;
    build(driver::parse_document(sink, ParseOpts::default()), html)
}

/// Whether an element is the title of a page: a `title` in HTML that is not in a template or a picture.
pub fn is_title(element: ElementRef<'_>) -> bool {
    let outer = element.ancestors().filter_map(ElementRef::wrap);
    let mut names = outer.map(|element| element.value().name());
    element.value().name.expanded() == expanded_name!(html "title")
        && !names.any(|name| matches!(name, "template" | "svg"))
}

/// Parses a piece of a page's body.
pub fn fragment(html: &str) -> Result<Html, TooLarge> {
    let sink = LimitedTree::new(Html::new_fragment());
    let body = QualName::new(None, ns!(html), local_name!("body"));
    check_length(html.as_bytes())?;
    let parser = driver::parse_fragment(sink, ParseOpts::default(), body, Vec::new(), false);
    build(parser, html.as_bytes())
}

/// Rejects a page over [`MAX_BYTES`].
pub fn check_length(html: &[u8]) -> Result<(), TooLarge> {
    if html.len() > MAX_BYTES {
        return Err(TooLarge("it has over 2 MiB"));
    }
    Ok(())
}

fn build(mut parser: Parser<LimitedTree>, html: &[u8]) -> Result<Html, TooLarge> {
    for chunk in html.utf8_chunks() {
        let mut rest = chunk.valid();
        while !rest.is_empty() {
            if parser.tokenizer.sink.sink.is_complete.get() {
                return Ok(parser.finish());
            }
            let (piece, after) = rest.split_at(piece_end(rest));
            feed(&mut parser, piece)?;
            rest = after;
        }
        if !chunk.invalid().is_empty() {
            feed(&mut parser, "\u{fffd}")?;
        }
    }
    let html = parser.finish();
    // The parser may have moved elements deeper after it inserted them.
    let mut nodes = html.tree.nodes();
    if nodes.any(|node| node.ancestors().nth(MAX_DEPTH).is_some()) {
        return Err(TOO_DEEP);
    }
    Ok(html)
}

/// The end of the piece to feed: one tag and the text behind it, at most [`MAX_PIECE`] bytes.
fn piece_end(html: &str) -> usize {
    let mut end = html.len().min(MAX_PIECE);
    while !html.is_char_boundary(end) {
        end -= 1;
    }
    let tag = memchr::memchr(b'<', &html.as_bytes()[1..end]);
    tag.map_or(end, |tag| tag + 1)
}

fn feed(parser: &mut Parser<LimitedTree>, piece: &str) -> Result<(), TooLarge> {
    parser.process(StrTendril::from_slice(piece));
    parser.tokenizer.sink.sink.check_limits(piece.len())
}

type Handle = <HtmlTreeSink as TreeSink>::Handle;

/// Builds the tree and counts the calls of the parser.
struct LimitedTree {
    tree: HtmlTreeSink,
    /// Attributes and nodes created so far.
    nodes: Cell<usize>,
    /// Calls of the parser so far.
    steps: Cell<usize>,
    /// Whether a node was inserted below [`MAX_DEPTH`].
    is_too_deep: Cell<bool>,
    /// `steps` when the limits were last checked.
    checked_steps: Cell<usize>,
    /// Bytes fed since the last step.
    silent_bytes: Cell<usize>,
    /// Whether the tree is complete once it has a title.
    ends_with_title: bool,
    is_complete: Cell<bool>,
}

impl LimitedTree {
    fn new(html: Html) -> Self {
        LimitedTree {
            tree: HtmlTreeSink(RefCell::new(html)),
            nodes: Cell::new(0),
            steps: Cell::new(0),
            is_too_deep: Cell::new(false),
            checked_steps: Cell::new(0),
            silent_bytes: Cell::new(0),
            ends_with_title: false,
            is_complete: Cell::new(false),
        }
    }

    /// Counts one call of the parser.
    fn step(&self) -> &HtmlTreeSink {
        self.steps.set(self.steps.get() + 1);
        &self.tree
    }

    /// Counts a call that creates nodes or attributes.
    fn create(&self, nodes: usize) -> &HtmlTreeSink {
        self.nodes.set(self.nodes.get() + nodes);
        self.step()
    }

    /// Counts a call that inserts a node into the tree, and checks its depth.
    fn insert(&self, parent: Handle) -> &HtmlTreeSink {
        let tree = self.step();
        let html = tree.0.borrow();
        let parent = html.tree.get(parent).expect("a node of this tree");
        if parent.ancestors().nth(MAX_DEPTH).is_some() {
            self.is_too_deep.set(true);
        }
        tree
    }

    /// Counts a text. It is a node, unless the tree joins it to another text.
    fn count_text(&self, child: &NodeOrText<Handle>) {
        if let NodeOrText::AppendText(_) = child {
            self.create(1);
        }
    }

    /// Checks all limits after a piece of `fed` bytes.
    fn check_limits(&self, fed: usize) -> Result<(), TooLarge> {
        let steps = self.steps.get();
        let silent_bytes = if steps == self.checked_steps.replace(steps) {
            self.silent_bytes.get() + fed
        } else {
            0
        };
        self.silent_bytes.set(silent_bytes);
        if self.nodes.get() > MAX_NODES {
            return Err(TooLarge("it has too many elements"));
        }
        if self.is_too_deep.get() {
            return Err(TOO_DEEP);
        }
        if steps > MAX_STEPS {
            return Err(TooLarge("building its tree takes over 2,000,000 steps"));
        }
        if silent_bytes > MAX_SILENT_BYTES {
            return Err(TooLarge(
                "one tag, comment or run of white space in it has over 16 KiB",
            ));
        }
        Ok(())
    }
}

impl TreeSink for LimitedTree {
    type Handle = Handle;
    type Output = Html;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Html {
        self.tree.finish()
    }

    // The errors are not kept. They count as steps, because every character can cause one.
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
        self.create(1 + attributes.len())
            .create_element(name, attributes, flags)
    }

    fn create_comment(&self, text: StrTendril) -> Handle {
        self.create(1).create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> Handle {
        self.create(1).create_pi(target, data)
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.count_text(&child);
        self.insert(*parent).append(parent, child);
    }

    fn append_before_sibling(&self, sibling: &Handle, child: NodeOrText<Handle>) {
        self.count_text(&child);
        self.insert(*sibling).append_before_sibling(sibling, child);
    }

    fn append_based_on_parent_node(
        &self,
        element: &Handle,
        before: &Handle,
        child: NodeOrText<Handle>,
    ) {
        self.count_text(&child);
        self.insert(*element)
            .append_based_on_parent_node(element, before, child);
    }

    fn append_doctype_to_document(
        &self,
        name: StrTendril,
        public_id: StrTendril,
        system_id: StrTendril,
    ) {
        self.create(1)
            .append_doctype_to_document(name, public_id, system_id);
    }

    fn pop(&self, element: &Handle) {
        if self.ends_with_title {
            let html = self.tree.0.borrow();
            let is_title = html
                .tree
                .get(*element)
                .and_then(ElementRef::wrap)
                .is_some_and(is_title);
            self.is_complete.set(self.is_complete.get() || is_title);
        }
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
        self.create(attributes.len())
            .add_attrs_if_missing(target, attributes);
    }

    fn remove_from_parent(&self, target: &Handle) {
        self.step().remove_from_parent(target);
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        self.insert(*new_parent).reparent_children(node, new_parent);
    }
}
