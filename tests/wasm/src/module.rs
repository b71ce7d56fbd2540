//! Functions, names and calls of a Wasm module.

use std::collections::HashMap;
use std::ops::Range;

use wasmparser::{
    BinaryReader, Data, DataKind, ExternalKind, FunctionBody, KnownCustom, Name, Operator, Parser,
    Payload, TypeRef,
};

use crate::Result;

/// One defined function.
pub struct Function<'a>(FunctionBody<'a>);

/// A module as far as the tests need it.
#[derive(Default)]
pub struct Module<'a> {
    /// Functions by index, from the first that is not imported.
    pub functions: Vec<Function<'a>>,
    /// How many functions are imported: the index of the first in `functions`.
    pub imported: u32,
    /// Names by index, demangled, where the module has them.
    pub names: HashMap<u32, String>,
    /// Exported functions by name.
    pub exports: HashMap<String, u32>,
    /// Where in the file the code section is: contents only.
    pub code: Range<usize>,
    /// What memory holds at the beginning, by address.
    pub data: Vec<(usize, &'a [u8])>,
}

impl<'a> Module<'a> {
    /// Reads a module.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            module.take(payload?)?;
        }
        Ok(module)
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    self.imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.exports.insert(export.name.to_owned(), export.index);
                    }
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    self.take_data(segment?)?;
                }
            }
            Payload::CodeSectionStart {
                unchecked_range, ..
            } => {
                self.code = unchecked_range.start.try_into()?..unchecked_range.end.try_into()?;
            }
            Payload::CodeSectionEntry(body) => self.functions.push(Function(body)),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    for name in names {
                        self.take_names(name?)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_data(&mut self, segment: Data<'a>) -> Result<()> {
        if let DataKind::Active { offset_expr, .. } = segment.kind {
            let first = offset_expr.get_operators_reader().read()?;
            if let Operator::I32Const { value } = first {
                self.data.push((usize::try_from(value)?, segment.data));
            }
        }
        Ok(())
    }

    /// What memory holds at an address at the beginning.
    #[must_use]
    pub fn memory(&self, address: usize, length: usize) -> Option<&'a [u8]> {
        self.data.iter().find_map(|(begin, data)| {
            let at = address.checked_sub(*begin)?;
            data.get(at..at.checked_add(length)?)
        })
    }

    fn take_names(&mut self, names: Name<'_>) -> Result<()> {
        if let Name::Function(names) = names {
            for name in names {
                let name = name?;
                let demangled = format!("{:#}", rustc_demangle::demangle(name.name));
                self.names.insert(name.index, demangled);
            }
        }
        Ok(())
    }

    /// The name of a function, or its number.
    #[must_use]
    pub fn name(&self, index: u32) -> String {
        self.names
            .get(&index)
            .cloned()
            .unwrap_or_else(|| format!("function {index}"))
    }

    /// Every defined function with its index.
    pub fn defined(&self) -> impl Iterator<Item = (u32, &Function<'a>)> {
        (self.imported..).zip(&self.functions)
    }
}

impl<'a> Function<'a> {
    /// Its body: locals, then instructions.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.0.as_bytes()
    }

    /// Its instructions.
    ///
    /// # Errors
    /// When the body is malformed.
    pub fn instructions(&self) -> Result<Vec<Operator<'a>>> {
        let reader = self.0.get_operators_reader()?;
        Ok(reader.into_iter().collect::<std::result::Result<_, _>>()?)
    }

    /// Where in its body the first instruction is, behind the declarations of its locals.
    ///
    /// # Errors
    /// When the body is malformed.
    pub fn first_instruction(&self) -> Result<usize> {
        let instructions = self.0.get_operators_reader()?.original_position();
        Ok(usize::try_from(instructions - self.0.range().start)?)
    }
}

/// An unsigned number in LEB128.
#[must_use]
pub fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Reads a number in LEB128 at the beginning of `bytes`: the number, and how many bytes it takes.
///
/// # Errors
/// When there is none.
pub fn read_leb128(bytes: &[u8]) -> Result<(usize, usize)> {
    let mut reader = BinaryReader::new(bytes, 0);
    let number = reader.read_var_u32()?;
    Ok((
        usize::try_from(number)?,
        usize::try_from(reader.original_position())?,
    ))
}
