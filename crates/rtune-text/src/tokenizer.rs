use crate::settings::Settings;
use crate::{Encoded, Text, TextError, build, guarded, pairs, rules};
use std::path::{Path, PathBuf};
use tokenizers::{Encoding, TruncationParams};

/// A model's own tokenizer with rtune's length limit.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    /// The content of `tokenizer.json`, if that of the folder is another or it has none.
    content: Option<String>,
    change: Option<TokenizerChange>,
    unknown: Option<u32>,
    /// None if the tokenizer has no padding token.
    padding: Option<u32>,
    special: Vec<u32>,
    limit: TruncationParams,
    /// True if each text is a pair.
    pairs: bool,
}

/// A difference between a tokenizer and the files of its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizerChange {
    /// There is no `tokenizer.json`, so it was built.
    Built {
        /// The file with the vocabulary.
        from: PathBuf,
    },
    /// The file adds no tokens to a text, so it has got those of the model's family.
    SpecialTokens {
        /// The file.
        path: PathBuf,
        /// The first token of every text.
        first: String,
        /// The last one.
        last: String,
    },
}

impl Tokenizer {
    const FILE: &str = "tokenizer.json";

    /// Reads `tokenizer.json` of a model folder, or builds it from the files of an older tokenizer:
    /// `vocab.txt`, `vocab.json` with `merges.txt`, or a model of SentencePiece. Texts longer than
    /// `max_length` tokens, special tokens included, are cut at the end, or at the start if the
    /// tokenizer says so.
    ///
    /// Texts need the tokens around them that the encoder was trained with. If the file adds none,
    /// it gets those of the model's family, unless rtune has trained the model without them.
    ///
    /// # Errors
    /// If the file is missing or damaged, `tokenizer_config.json` contradicts it, or `max_length`
    /// leaves no room for a token.
    pub fn read(folder: &Path, max_length: usize) -> Result<Self, TextError> {
        let path = folder.join(Self::FILE);
        let fail = |problem: String| TextError::Tokenizer {
            path: path.clone(),
            problem,
        };
        let settings = Settings::read(folder)?;
        if max_length < 3 {
            return Err(fail(format!(
                "max length {max_length} leaves no room for a token \
                 between the two special ones; give at least 3"
            )));
        }
        let (mut inner, mut content, mut change) = match path.is_file() {
            true => (parse(&path, &read_file(&path)?)?, None, None),
            false => Self::build(folder, &settings)?,
        };
        settings.check(&inner)?;
        let padding = Self::padding_id(&inner);
        inner.with_padding(None);
        let limit = TruncationParams {
            max_length,
            direction: settings.truncation(&inner)?,
            ..TruncationParams::default()
        };
        inner
            .with_truncation(Some(limit.clone()))
            .map_err(|e| fail(format!("max length {max_length}: {e}")))?;
        // A template may name tokens that it does not have.
        if guarded(|| inner.encode_fast("a", true)).is_none() {
            return Err(damaged(&path, PANICKED));
        }
        if content.is_none()
            && let Some(around) = build::tokens_around(&inner, &settings)
        {
            let new = around.add_to(&mut inner, &read_file(&path)?);
            content = Some(new.map_err(|reason| damaged(&path, &reason))?);
            let [first, last] = around.names();
            let path = path.clone();
            change = Some(TokenizerChange::SpecialTokens { path, first, last });
        }
        let special = Self::special_ids(&inner);
        let unknown = Self::unknown_id(&inner);
        let source = match &change {
            Some(TokenizerChange::Built { from }) => from.clone(),
            _ => path,
        };
        Ok(Self {
            inner,
            path: source,
            content,
            change,
            unknown,
            padding,
            special,
            limit,
            pairs: false,
        })
    }

    /// The tokenizer that is built from other files of a folder.
    fn build(folder: &Path, settings: &Settings) -> Result<Read, TextError> {
        let Some(built) = build::build(folder, settings)? else {
            return Err(TextError::Missing(folder.to_owned()));
        };
        let content = built.content.to_string() + "\n";
        let inner = parse(&built.from, content.as_bytes())?;
        let change = TokenizerChange::Built { from: built.from };
        Ok((inner, Some(content), Some(change)))
    }

    /// Makes the tokenizer one of pairs of texts, or of single texts, as it is at first. Of a pair
    /// that is too long, the longer text is cut, token by token (`longest_first` of Hugging Face).
    ///
    /// # Errors
    /// If its template for pairs puts no token between both texts, or the limit leaves no room for
    /// a token of each.
    pub fn with_pairs(mut self, pairs: bool) -> Result<Self, TextError> {
        let problem = pairs.then(|| pairs::problem(&self.inner, self.limit.max_length));
        // Pairs are cut before they are joined.
        let limit = (!pairs).then(|| self.limit.clone());
        let set = self.inner.with_truncation(limit).map(drop);
        let problem = problem.flatten().or(set.err().map(|e| e.to_string()));
        self.pairs = pairs;
        match problem {
            None => Ok(self),
            Some(problem) => Err(TextError::Tokenizer {
                path: self.path,
                problem,
            }),
        }
    }

    /// The id that the file states, or that of a common padding token.
    fn padding_id(inner: &tokenizers::Tokenizer) -> Option<u32> {
        let stated = inner.get_padding().map(|p| p.pad_id);
        stated.or_else(|| ["[PAD]", "<pad>"].iter().find_map(|t| inner.token_to_id(t)))
    }

    fn special_ids(inner: &tokenizers::Tokenizer) -> Vec<u32> {
        let added = inner.get_added_tokens_decoder();
        let special = added.iter().filter(|(_, token)| token.special);
        special.map(|(id, _)| *id).collect()
    }

    fn unknown_id(inner: &tokenizers::Tokenizer) -> Option<u32> {
        ["[UNK]", "<unk>"].iter().find_map(|t| inner.token_to_id(t))
    }

    /// Returns the largest number of tokens of a text, special tokens included.
    pub fn max_length(&self) -> usize {
        self.limit.max_length
    }

    /// Returns whether each text is a pair.
    pub fn takes_pairs(&self) -> bool {
        self.pairs
    }

    /// Returns the id that short texts are padded with.
    pub fn padding(&self) -> u32 {
        // Without a padding token, any id does: the mask excludes it.
        self.padding.unwrap_or(0)
    }

    /// Returns the path of `tokenizer.json`, or of the file that it was built from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how the tokenizer differs from the files of its folder, if it does.
    pub fn change(&self) -> Option<&TokenizerChange> {
        self.change.as_ref()
    }

    /// Writes `tokenizer.json` into a folder if it differs from that of the tokenizer's own folder,
    /// for folders to which the files of the tokenizer are copied.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_changed(&self, folder: &Path) -> Result<(), TextError> {
        let Some(content) = &self.content else {
            return Ok(());
        };
        let path = folder.join(Self::FILE);
        std::fs::write(&path, content).map_err(|e| TextError::Tokenizer {
            path,
            problem: e.to_string(),
        })
    }

    /// Returns the largest id that a text can have, of the vocabulary, of the tokens that are added
    /// to every text, or of padding; and its token in words.
    pub fn largest_id(&self) -> (u32, String) {
        let vocabulary = self.inner.get_vocab(true).into_iter();
        let tokens = vocabulary.map(|(token, id)| (id, token));
        // The ids around a text are stated apart from the vocabulary.
        let around = self.sample();
        let around = around.iter().flat_map(|encoded| encoded.get_ids());
        let ids = around.chain(&self.padding);
        let tokens = tokens.chain(ids.filter_map(|id| {
            let is_new = self.inner.id_to_token(*id).is_none();
            is_new.then(|| (*id, String::new()))
        }));
        let (id, token) = tokens.max().unwrap_or_default();
        match token.is_empty() {
            true => (id, "a token that is added to every text".to_owned()),
            false => (id, format!("the token `{token}`")),
        }
    }

    /// Returns the largest type that the tokens of a text can have.
    pub fn largest_type(&self) -> u32 {
        let encoded = self.sample();
        let types = encoded.iter().flat_map(|encoded| encoded.get_type_ids());
        types.copied().max().unwrap_or_default()
    }

    /// The tokens of any text, with those that are added to each.
    fn sample(&self) -> Option<Encoding> {
        let encoded = guarded(|| match self.pairs {
            true => pairs::encode(&self.inner, &self.limit, ["a", "a"]).map(|(_, pair)| pair),
            false => self.inner.encode_fast("a", true),
        });
        encoded?.ok()
    }

    /// Checks that a model has an embedding for each id that a text can have.
    ///
    /// # Errors
    /// If it has not.
    pub fn check(&self, tables: &EmbeddingTables<'_>) -> Result<(), TextError> {
        let (id, token) = self.largest_id();
        let fail = |problem: String| Err(TextError::embeddings(&self.path, tables.model, &problem));
        if id as usize >= tables.tokens {
            let tokens = tables.tokens;
            return fail(format!(
                "{token} has the id {id}, but there are embeddings for {tokens} ids"
            ));
        }
        let kind = self.largest_type();
        if let Some(types) = tables.types.filter(|types| kind as usize >= *types) {
            return fail(format!(
                "tokens have the type {kind}, but there are embeddings for {types} types"
            ));
        }
        match (self.padding, tables.padding) {
            (Some(here), Some(there)) if here != there => fail(format!(
                "the id of padding is {here}, but pad_token_id, from which positions are counted, \
                 is {there}"
            )),
            _ => Ok(()),
        }
    }

    /// Tokenizes a text, or a pair if the tokenizer is one of pairs.
    ///
    /// # Errors
    /// If a text is empty, or none of its tokens is in the vocabulary; if it is a pair and should
    /// not be one, or the reverse.
    pub fn encode<'a>(&self, text: impl Into<Text<'a>>) -> Result<Encoded, TextError> {
        let Text { first, second } = text.into();
        if first.trim().is_empty() {
            return Err(TextError::Empty);
        }
        let encoding = match (second, self.pairs) {
            (Some(second), true) if second.trim().is_empty() => return Err(TextError::EmptySecond),
            (Some(second), true) => self.encode_pair([first, second])?,
            (None, false) => {
                let encoding = unpanicked(|| self.inner.encode_fast(first, true))?;
                self.check_words(&encoding, [TextError::Empty, TextError::Unknown])?;
                encoding
            }
            (None, true) => return Err(TextError::PairExpected),
            (Some(_), false) => return Err(TextError::PairNotTaken),
        };
        Ok(Encoded {
            input_ids: encoding.get_ids().to_vec(),
            token_type_ids: encoding.get_type_ids().to_vec(),
            truncated: !encoding.get_overflowing().is_empty(),
        })
    }

    fn encode_pair(&self, texts: [&str; 2]) -> Result<Encoding, TextError> {
        let encoded = unpanicked(|| pairs::encode(&self.inner, &self.limit, texts));
        let ([first, second], pair) = encoded?;
        self.check_words(&first, [TextError::Empty, TextError::Unknown])?;
        self.check_words(&second, [TextError::EmptySecond, TextError::UnknownSecond])?;
        Ok(pair)
    }

    /// Checks that a text has tokens of its own, and one of them in the vocabulary. The errors are
    /// those of both faults.
    fn check_words(
        &self,
        encoding: &Encoding,
        [empty, unknown]: [TextError; 2],
    ) -> Result<(), TextError> {
        let own = encoding.get_ids().iter();
        let mut words = own
            .filter(|id| Some(**id) == self.unknown || !self.special.contains(id))
            .peekable();
        if words.peek().is_none() {
            return Err(empty);
        }
        match words.all(|id| Some(*id) == self.unknown) {
            true => Err(unknown),
            false => Ok(()),
        }
    }

    /// Returns the text of tokens without the special ones, as the model reads it: in lower case
    /// if its vocabulary is, and truncated. Tokens that cannot be joined give an empty text.
    pub fn decode(&self, encoded: &Encoded) -> String {
        let decoded = guarded(|| self.inner.decode(&encoded.input_ids, true));
        decoded.and_then(Result::ok).unwrap_or_default()
    }
}

const PANICKED: &str = "its reader panicked";

/// Calls a function of tokenizers, which may panic on a text if their file is damaged.
fn unpanicked<T>(function: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, TextError> {
    match guarded(function) {
        Some(result) => result.map_err(|error| TextError::Encode(error.to_string())),
        None => Err(TextError::Encode("the tokenizer panicked".to_owned())),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, TextError> {
    std::fs::read(path).map_err(|e| TextError::Tokenizer {
        path: path.to_owned(),
        problem: e.to_string(),
    })
}

/// A tokenizer; its new content and the change, if it is not that of `tokenizer.json`.
type Read = (
    tokenizers::Tokenizer,
    Option<String>,
    Option<TokenizerChange>,
);

/// Parses the content of `tokenizer.json`. The path is the file that it comes from.
fn parse(path: &Path, content: &[u8]) -> Result<tokenizers::Tokenizer, TextError> {
    if !rules::of_json_are_whole(content) {
        return Err(damaged(path, "its `precompiled_charsmap` is cut off"));
    }
    let parsed = match guarded(|| tokenizers::Tokenizer::from_bytes(content)) {
        Some(parsed) => parsed.map_err(|error| error.to_string()),
        None => Err(PANICKED.to_owned()),
    };
    parsed.map_err(|reason| damaged(path, &reason))
}

fn damaged(path: &Path, reason: &str) -> TextError {
    TextError::Tokenizer {
        path: path.to_owned(),
        problem: format!("not a tokenizer, or a truncated one ({reason}); download it again"),
    }
}

/// The embeddings of a model, for [`Tokenizer::check`].
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingTables<'a> {
    /// The file that states the sizes, for messages.
    pub model: &'a Path,
    /// The number of token ids.
    pub tokens: usize,
    /// The number of token types, if the model takes them.
    pub types: Option<usize>,
    /// The id of padding, if the model counts positions from it.
    pub padding: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Words separated by white space, in lower case, between `[CLS]` and `[SEP]`.
    fn file() -> Value {
        let vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "film", "good"];
        let vocabulary = vocabulary.iter().zip(0..).map(|(word, id)| (*word, id));
        let special = [(0, "[PAD]"), (1, "[UNK]"), (2, "[CLS]"), (3, "[SEP]")];
        let added = special.map(|(id, content)| {
            json!({
                "id": id, "content": content, "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false,
            })
        });
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
            "decoder": null,
            "model": {
                "type": "WordLevel",
                "vocab": vocabulary.collect::<std::collections::BTreeMap<_, _>>(),
                "unk_token": "[UNK]",
            },
        })
    }

    fn read(file: &Value, max_length: usize) -> Result<Tokenizer, TextError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
        Tokenizer::read(folder.path(), max_length)
    }

    #[test]
    fn text_becomes_ids_between_special_tokens() {
        let tokenizer = read(&file(), 8).unwrap();
        let encoded = tokenizer.encode("The  GOOD film").unwrap();
        assert_eq!(encoded, Encoded::new(vec![2, 4, 6, 5, 3]));
        assert_eq!(tokenizer.max_length(), 8);
        assert_eq!(tokenizer.largest_id(), (6, "the token `good`".to_owned()));
    }

    #[test]
    fn long_texts_lose_their_end_and_say_so() {
        let tokenizer = read(&file(), 4).unwrap();
        let encoded = tokenizer.encode("the good film").unwrap();
        assert_eq!(encoded.input_ids, [2, 4, 6, 3]);
        assert!(encoded.truncated);
        assert!(!tokenizer.encode("good film").unwrap().truncated);
    }

    #[test]
    fn the_start_is_cut_if_the_tokenizer_says_so() {
        let mut file = file();
        file["truncation"] = json!({
            "max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Left",
        });
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("tokenizer_config.json");
        std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
        let cut = || {
            let tokenizer = Tokenizer::read(folder.path(), 4)?;
            Ok::<_, TextError>(tokenizer.encode("the good film")?.input_ids)
        };
        assert_eq!(cut().unwrap(), [2, 6, 5, 3]);
        for (side, expected) in [("right", [2, 4, 6, 3]), ("left", [2, 6, 5, 3])] {
            std::fs::write(&settings, json!({"truncation_side": side}).to_string()).unwrap();
            assert_eq!(cut().unwrap(), expected, "{side}");
        }
        std::fs::write(&settings, json!({"truncation_side": "middle"}).to_string()).unwrap();
        let error = cut().unwrap_err().to_string();
        assert!(error.ends_with("truncation_side is `middle`, expected `right` or `left`"));
    }

    #[test]
    fn settings_that_contradict_the_file_are_named() {
        let mut file = file();
        file["normalizer"] = json!({
            "type": "Sequence", "normalizers": [{
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": false,
            }],
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
        let read = |settings: Value| {
            let path = folder.path().join("tokenizer_config.json");
            std::fs::write(path, settings.to_string()).unwrap();
            let read = Tokenizer::read(folder.path(), 4);
            read.map(|_| ()).map_err(|error| error.to_string())
        };
        for settings in [
            json!({}),
            json!({"do_lower_case": false}),
            json!({"do_lower_case": null}),
            json!({"strip_accents": true}),
            json!({"do_lower_case": true, "tokenizer_class": "PreTrainedTokenizerFast"}),
        ] {
            assert_eq!(read(settings), Ok(()));
        }
        let error = read(json!({"do_lower_case": true, "tokenizer_class": "BertTokenizer"}));
        let expected = "do_lower_case is true, but lowercase of tokenizer.json is false; correct \
                        one of the two files";
        assert!(error.is_err_and(|error| error.ends_with(expected)));
        assert!(read(json!([1])).is_err_and(|error| error.contains("not a JSON object")));
    }

    #[test]
    fn ids_types_and_padding_must_have_embeddings() {
        let mut file = file();
        file["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 1}},
            ],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [60], "tokens": ["[CLS]"]}},
        });
        let added = json!({
            "id": 7, "content": "<new>", "special": false, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": true,
        });
        let tables = |tokens, types, padding| EmbeddingTables {
            model: Path::new("m/config.json"),
            tokens,
            types,
            padding,
        };
        let template = read(&file, 8).unwrap();
        file["post_processor"] = json!(null);
        let plain = read(&file, 8).unwrap();
        file["added_tokens"].as_array_mut().unwrap().push(added);
        let added = read(&file, 8).unwrap();
        let cases = [
            (&plain, tables(7, Some(1), Some(0)), None),
            (
                &plain,
                tables(6, None, None),
                Some("the token `good` has the id 6, but there are "),
            ),
            (
                &plain,
                tables(7, None, Some(1)),
                Some("the id of padding is 0, but pad_token_id"),
            ),
            (
                &added,
                tables(7, None, None),
                Some("the token `<new>` has the id 7, but"),
            ),
            (&added, tables(8, None, None), None),
            (
                &template,
                tables(60, None, None),
                Some("has the id 60, but there are embeddings"),
            ),
            (
                &template,
                tables(61, Some(1), None),
                Some("tokens have the type 1, but there are"),
            ),
            (&template, tables(61, Some(2), None), None),
        ];
        for (tokenizer, tables, expected) in cases {
            let found = tokenizer.check(&tables).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(found, Ok(())),
                Some(expected) => {
                    let error = found.unwrap_err();
                    assert!(error.contains(expected), "{error}");
                    assert!(
                        error.contains("tokenizer.json: does not fit m/config.json"),
                        "{error}"
                    );
                }
            }
        }
    }

    #[test]
    fn truncation_and_padding_of_the_file_are_switched_off() {
        let mut file = file();
        file["truncation"] = json!({
            "max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Left",
        });
        file["padding"] = json!({
            "strategy": {"Fixed": 16}, "direction": "Left", "pad_to_multiple_of": 8,
            "pad_id": 6, "pad_type_id": 1, "pad_token": "good",
        });
        let tokenizer = read(&file, 8).unwrap();
        let encoded = tokenizer.encode("the good film").unwrap();
        assert_eq!(encoded, Encoded::new(vec![2, 4, 6, 5, 3]));
        // The padding id of the file is the model's, and is kept.
        assert_eq!(tokenizer.padding(), 6);
    }

    #[test]
    fn the_padding_id_is_found_by_name() {
        assert_eq!(read(&file(), 8).unwrap().padding(), 0);
        let mut file = file();
        file["model"]["vocab"] = json!({"[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "<pad>": 5});
        file["added_tokens"] = json!([]);
        assert_eq!(read(&file, 8).unwrap().padding(), 5);
        // A tokenizer without a padding token fits any model.
        file["model"]["vocab"] = json!({"[UNK]": 1, "[CLS]": 2, "[SEP]": 3});
        let tokenizer = read(&file, 8).unwrap();
        assert_eq!(tokenizer.padding(), 0);
        let tables = EmbeddingTables {
            model: Path::new("config.json"),
            tokens: 4,
            types: None,
            padding: Some(1),
        };
        assert!(tokenizer.check(&tables).is_ok());
    }

    #[test]
    fn unknown_words_among_known_ones_are_kept() {
        let tokenizer = read(&file(), 8).unwrap();
        let encoded = tokenizer.encode("the dreadful film").unwrap();
        assert_eq!(encoded.input_ids, [2, 4, 1, 5, 3]);
    }

    #[test]
    fn texts_without_a_known_token_are_errors() {
        let tokenizer = read(&file(), 8).unwrap();
        for (text, unknown) in [
            ("", false),
            (" \t\n", false),
            ("[CLS]", false),
            ("dreadful", true),
            ("\u{1f600}", true),
        ] {
            let error = tokenizer.encode(text).unwrap_err();
            let expected = if unknown { "Unknown" } else { "Empty" };
            assert_eq!(format!("{error:?}"), expected, "{text:?}");
        }
    }

    #[test]
    fn a_missing_file_names_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let error = Tokenizer::read(folder.path(), 8).unwrap_err();
        assert!(matches!(error, TextError::Missing(path) if path == folder.path()));
    }

    #[test]
    fn a_panic_of_the_reader_is_an_error() {
        let mut file = file();
        file["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"});
        let error = read(&file, 8).unwrap_err().to_string();
        assert!(error.contains("(its reader panicked)"), "{error}");
        assert!(!crate::panic_becomes_error());
    }

    #[test]
    fn a_template_with_a_token_that_it_lacks_is_an_error() {
        let mut file = file();
        file["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {},
        });
        let error = read(&file, 8).unwrap_err().to_string();
        assert!(error.contains("(its reader panicked)"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_named() {
        for content in ["", "{}", "[1, 2]", "{\"model\": {\"type\": \"Other\"}}"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tokenizer.json");
            std::fs::write(&path, content).unwrap();
            let error = Tokenizer::read(folder.path(), 8).unwrap_err().to_string();
            assert!(error.starts_with(&*path.to_string_lossy()), "{error}");
            assert!(error.contains("not a tokenizer"), "{error}");
        }
    }

    #[test]
    fn a_limit_without_room_for_a_token_is_an_error() {
        let error = read(&file(), 2).unwrap_err().to_string();
        assert!(error.contains("max length 2 leaves no room"), "{error}");
        assert!(
            read(&file(), 3)
                .unwrap()
                .encode("the film")
                .unwrap()
                .truncated
        );
    }
}
