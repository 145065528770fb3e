//! Parameters as the API takes them: form-encoded, nested by brackets, lists by `[]` or by number.

use super::refusal::Refusal;
use std::collections::BTreeMap;

/// More parameters than any request of the API has.
const MAX_PAIRS: usize = 1000;
const MAX_DEPTH: usize = 8;

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    Text(String),
    Branch(Params),
}

/// Parameters by name, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Params(BTreeMap<String, Node>);

impl Params {
    /// Reads `a=1&b[c]=2&d[]=3`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let mut params = Self::default();
        for (count, (name, value)) in url::form_urlencoded::parse(text).enumerate() {
            if count >= MAX_PAIRS {
                return Err(Refusal::invalid("Too many parameters."));
            }
            let path = path(&name).ok_or_else(|| Refusal::invalid(format!("Invalid parameter name: {name}")))?;
            params.put(&path, value.into_owned()).ok_or_else(|| Refusal::invalid(format!("Invalid hash or array: {name}")))?;
        }
        Ok(params)
    }

    fn put(&mut self, path: &[String], value: String) -> Option<()> {
        let (name, rest) = path.split_first()?;
        let name = if name.is_empty() { self.0.len().to_string() } else { name.clone() };
        if rest.is_empty() {
            self.0.insert(name, Node::Text(value));
            return Some(());
        }
        match self.0.entry(name).or_insert_with(|| Node::Branch(Self::default())) {
            Node::Branch(branch) => branch.put(rest, value),
            Node::Text(_) => None,
        }
    }

    /// The names that are there.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Refuses names that the endpoint does not take.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.names().find(|name| *name != "expand" && !known.contains(name)) {
            Some(name) => Err(Refusal::parameter(name, "parameter_unknown", format!("Received unknown parameter: {name}"))),
            None => Ok(()),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text; an empty one means unset.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Node::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing_parameter(name))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let invalid = |_| Refusal::parameter(name, "parameter_invalid_integer", format!("Invalid integer: {text}"));
        text.parse().map(Some).map_err(invalid)
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Refusal::invalid(format!("Invalid boolean: {other}")).param(name)),
        }
    }

    /// One of a few words.
    pub(super) fn word(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let known = words.iter().find(|word| **word == text).copied();
        known.map(Some).ok_or_else(|| Refusal::invalid(format!("Invalid {name}: must be one of {}", words.join(", "))).param(name))
    }

    pub(super) fn branch(&self, name: &str) -> Option<&Self> {
        match self.0.get(name) {
            Some(Node::Branch(branch)) => Some(branch),
            _ => None,
        }
    }

    /// A text further down, as `card`, `token`.
    pub(super) fn at(&self, path: &[&str]) -> Option<&str> {
        let (last, branches) = path.split_last()?;
        branches.iter().try_fold(self, |params, name| params.branch(name))?.text(last)
    }

    /// The texts of a list.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.in_order(name).filter_map(|node| if let Node::Text(text) = node { Some(text.as_str()) } else { None }).collect()
    }

    /// The items of a list of hashes.
    pub(super) fn items(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.in_order(name).filter_map(|node| if let Node::Branch(item) = node { Some(item) } else { None })
    }

    /// The members of a list by number: names are texts, and `10` would come before `9`.
    fn in_order(&self, name: &str) -> impl Iterator<Item = &Node> {
        let mut nodes: Vec<_> = self.branch(name).into_iter().flat_map(|branch| &branch.0).collect();
        nodes.sort_by_key(|(name, _)| name.parse::<u64>().unwrap_or(u64::MAX));
        nodes.into_iter().map(|(_, node)| node)
    }

    /// All pairs with a text, with the empty ones: `metadata`.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, node)| if let Node::Text(text) = node { Some((name.as_str(), text.as_str())) } else { None })
    }
}

/// `a[b][]` → `a`, `b`, ``.
fn path(name: &str) -> Option<Vec<String>> {
    let (first, mut rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut path = vec![first.to_owned()];
    while !rest.is_empty() {
        let (part, after) = rest.strip_prefix('[')?.split_once(']')?;
        path.push(part.to_owned());
        rest = after;
    }
    (!first.is_empty() && path.len() <= MAX_DEPTH).then_some(path)
}

/// `metadata` as a request changes it: an empty value takes a key away, an empty `metadata` all of them. Refused, nothing has changed.
pub(super) fn merge_metadata(metadata: &mut BTreeMap<String, String>, params: &Params) -> Result<(), Refusal> {
    let emptied = params.has("metadata") && params.branch("metadata").is_none();
    let mut merged = if emptied { BTreeMap::new() } else { metadata.clone() };
    for (key, value) in params.branch("metadata").into_iter().flat_map(Params::pairs) {
        if key.chars().count() > 40 {
            return Err(Refusal::invalid(format!("Metadata keys must be 40 characters or less: {key}")).param("metadata"));
        }
        if value.chars().count() > 500 {
            return Err(Refusal::invalid(format!("Metadata values must be 500 characters or less: {key}")).param("metadata"));
        }
        if value.is_empty() {
            merged.remove(key);
        } else {
            merged.insert(key.to_owned(), value.to_owned());
        }
    }
    if merged.len() > 50 {
        return Err(Refusal::invalid("You can have at most 50 metadata keys.").param("metadata"));
    }
    *metadata = merged;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_nest_and_lists_keep_their_order() {
        let text = b"amount=5&metadata[order%20id]=7%2B1&line_items[1][quantity]=2&line_items[0][quantity]=1&expand[]=a&expand[]=b.c&card[token]=t";
        let params = Params::parse(text).unwrap();
        assert_eq!(params.integer("amount").unwrap(), Some(5));
        assert_eq!(params.at(&["metadata", "order id"]), Some("7+1"));
        assert_eq!(params.list("expand"), ["a", "b.c"]);
        assert_eq!(params.items("line_items").filter_map(|item| item.text("quantity")).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(params, Params::parse(b"card[token]=t&expand[0]=a&expand[1]=b.c&amount=5&metadata[order id]=7%2B1&line_items[0][quantity]=1&line_items[1][quantity]=2").unwrap());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["a=1&a[b]=2", "[a]=1", "a[b=1", "a[b][c][d][e][f][g][h][i]=1"] {
            assert!(Params::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(Params::parse(b"amount=1.5").unwrap().integer("amount").unwrap_err().status(), 400);
        assert!(Params::parse(b"colour=red").unwrap().only(&["amount"]).is_err());
    }

    #[test]
    fn metadata_is_merged_and_an_empty_value_takes_a_key_away() {
        let mut metadata = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        merge_metadata(&mut metadata, &Params::parse(b"metadata[a]=&metadata[c]=3").unwrap()).unwrap();
        assert_eq!(metadata.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "2".to_owned()), ("c".to_owned(), "3".to_owned())]);
        let mut metadata = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        merge_metadata(&mut metadata, &Params::parse(b"metadata=").unwrap()).unwrap();
        assert!(metadata.is_empty());
    }
}
