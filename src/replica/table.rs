//! The table of companies of an index page, cut into pieces that a fault can change.

/// An index page, split at its table of companies. The pieces in their order are the page.
pub(super) struct Page {
    before: String,
    /// The header row, from `<tr` to `</tr>`.
    pub(super) header: String,
    between: String,
    /// Each ends in `</tr>`.
    pub(super) rows: Vec<String>,
    after: String,
}

impl Page {
    /// `None` if the page has no table with a column "1 Year".
    pub(super) fn split(page: &str) -> Option<Self> {
        let year = page.find("1 Year")?;
        let (before, rest) = page.split_at(page[..year].rfind("<tr")?);
        let (header, rest) = rest.split_at(rest.find("</tr>")? + "</tr>".len());
        let (body, after) = rest.split_at(rest.find("</table>")?);
        let (between, body) = body.split_at(body.find("<tr").unwrap_or(body.len()));
        let (rows, end) = body.split_at(body.rfind("</tr>").map_or(0, |at| at + "</tr>".len()));
        Some(Page {
            before: before.to_owned(),
            header: header.to_owned(),
            between: between.to_owned(),
            rows: rows.split_inclusive("</tr>").map(str::to_owned).collect(),
            after: [end, after].concat(),
        })
    }

    pub(super) fn join(self) -> String {
        let head = [self.before, self.header, self.between].concat();
        head + &self.rows.concat() + &self.after
    }

    /// The first row, removed from the page.
    pub(super) fn take_first_row(&mut self) -> Option<String> {
        (!self.rows.is_empty()).then(|| self.rows.remove(0))
    }

    /// Turns the header cells into data cells.
    pub(super) fn use_td_in_header(&mut self) {
        self.header = self.header.replace("<th", "<td").replace("</th>", "</td>");
    }

    /// Adds a header cell before "1 Year", without cells in the rows.
    pub(super) fn add_header_cell(&mut self) {
        if let Some((at, _)) = self.year_cell() {
            let cell = "<th class=\"table__th\">\n9 Mo.<br>\n+/-<br>\n%</th>\n";
            self.header.insert_str(at, cell);
        }
    }

    /// Lets the header cell before "1 Year" span two columns, and adds a cell of the second to each
    /// row.
    pub(super) fn span_two_columns(&mut self) {
        let Some((at, column)) = self.year_cell() else {
            return;
        };
        if let Some(previous) = self.header[..at].rfind("<th") {
            let name_end = previous + "<th".len();
            self.header.insert_str(name_end, " colspan=\"2\"");
        }
        let cell = "<td class=\"table__td\">\n<span>1.00</span><br>\n<span>1.00%</span></td>\n";
        for row in &mut self.rows {
            let place = row.match_indices("<td").nth(column).map(|(at, _)| at);
            row.insert_str(place.unwrap_or(0), cell);
        }
    }

    /// Position of the header cell "1 Year" in the header, and its column, counted from 0.
    fn year_cell(&self) -> Option<(usize, usize)> {
        let before = &self.header[..self.header.find("1 Year")?];
        let column = before.matches("<th").count().checked_sub(1)?;
        Some((before.rfind("<th")?, column))
    }

    /// Changes the address in the first link of a row.
    pub(super) fn change_address(row: &mut String, change: impl Fn(&str) -> String) {
        let start = row.find("href=\"").map(|at| at + "href=\"".len());
        let end = start.and_then(|start| Some(start + row[start..].find('"')?));
        if let Some((start, end)) = start.zip(end) {
            let changed = change(&row[start..end]);
            row.replace_range(start..end, &changed);
        }
    }
}
