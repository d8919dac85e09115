//! The Bank of Russia's exchange rates of 4 February 2022.

use encoding_rs::WINDOWS_1251;
use jiff::civil::{Date, date};

pub(super) const DATE: Date = date(2022, 2, 4);

/// A currency in the bank's list.
struct Currency {
    id: &'static str,
    number: &'static str,
    code: &'static str,
    /// Units of the currency that `value` is for.
    nominal: u32,
    name: &'static str,
    /// Roubles, with a decimal comma.
    value: &'static str,
}

const CURRENCIES: [Currency; 8] = [
    Currency {
        id: "R01010",
        number: "036",
        code: "AUD",
        nominal: 1,
        name: "Австралийский доллар",
        value: "54,5672",
    },
    Currency {
        id: "R01035",
        number: "826",
        code: "GBP",
        nominal: 1,
        name: "Фунт стерлингов Соединенного королевства",
        value: "103,8762",
    },
    Currency {
        id: "R01235",
        number: "840",
        code: "USD",
        nominal: 1,
        name: "Доллар США",
        value: "76,6501",
    },
    Currency {
        id: "R01239",
        number: "978",
        code: "EUR",
        nominal: 1,
        name: "Евро",
        value: "86,5610",
    },
    Currency {
        id: "R01335",
        number: "398",
        code: "KZT",
        nominal: 100,
        name: "Казахстанских тенге",
        value: "17,6308",
    },
    Currency {
        id: "R01375",
        number: "156",
        code: "CNY",
        nominal: 1,
        name: "Китайский юань",
        value: "12,0500",
    },
    Currency {
        id: "R01775",
        number: "756",
        code: "CHF",
        nominal: 1,
        name: "Швейцарский франк",
        value: "83,1978",
    },
    Currency {
        id: "R01820",
        number: "392",
        code: "JPY",
        nominal: 100,
        name: "Японских иен",
        value: "66,8412",
    },
];

/// The list as the bank sends it: XML on one line, in windows-1251.
pub(super) fn rates() -> Vec<u8> {
    let list: String = CURRENCIES.iter().map(entry).collect();
    let date = DATE.strftime("%d.%m.%Y");
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"windows-1251\"?>\
         <ValCurs Date=\"{date}\" name=\"Foreign Currency Market\">{list}</ValCurs>"
    );
    WINDOWS_1251.encode(&xml).0.into_owned()
}

fn entry(currency: &Currency) -> String {
    let Currency {
        id,
        number,
        code,
        nominal,
        name,
        value,
    } = currency;
    format!(
        "<Valute ID=\"{id}\"><NumCode>{number}</NumCode><CharCode>{code}</CharCode>\
         <Nominal>{nominal}</Nominal><Name>{name}</Name><Value>{value}</Value></Valute>"
    )
}
