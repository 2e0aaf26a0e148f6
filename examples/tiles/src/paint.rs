//! What does a tile look like?

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError};

use crate::tile::{SIDE, Tile};

/// A point that has not escaped after this many steps counts as one of the set. Deeper tiles need
/// more steps.
const STEPS: u32 = 400;
const STEPS_PER_LEVEL: u32 = 40;
/// Far outside of the set, so that fractions of a step can be computed.
const ESCAPED: f64 = 256.0;
/// Colour 0 is the colour of the set.
const COLOURS: usize = 256;
/// How many colours correspond to a doubling of the steps.
const COLOURS_PER_DOUBLING: f64 = 48.0;

/// A tile as a PNG file. Takes some tens of milliseconds of CPU time.
pub(crate) fn paint(tile: Tile) -> Result<Vec<u8>, EncodingError> {
    let steps = STEPS + STEPS_PER_LEVEL * tile.zoom;
    let pixels = (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| tile.point(column, row)));
    let pixels: Vec<u8> = pixels.map(|(re, im)| colour(re, im, steps)).collect();
    encode(SIDE, SIDE, &pixels)
}

/// Colours by their number, as a PNG file.
pub(crate) fn encode(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette());
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}

/// The colours by their number, of a PNG file made by [`encode`].
pub(crate) fn decode(file: &[u8]) -> Result<Vec<u8>, png::DecodingError> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info()?;
    let size = reader.output_buffer_size().unwrap_or(0);
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels)?;
    pixels.truncate(frame.buffer_size());
    Ok(pixels)
}

/// The colour depends on how soon `z² + c` escapes, on a scale of doublings, so the shades are the
/// same at every depth.
#[allow(clippy::cast_sign_loss, reason = "a logarithm of at least 1")]
fn colour(re: f64, im: f64, steps: u32) -> u8 {
    let (mut x, mut y) = (0.0, 0.0);
    for step in 0..steps {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > ESCAPED {
            let fraction = ((xx + yy).ln() / ESCAPED.ln()).log2();
            let escape = (f64::from(step) - fraction + 2.0).max(1.0);
            let shade = (escape.log2() * COLOURS_PER_DOUBLING) as usize % (COLOURS - 1);
            return shade as u8 + 1;
        }
        y = 2.0 * x * y + im;
        x = xx - yy + re;
    }
    0
}

/// Black, and a circle of colours.
#[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "small and positive")]
fn palette() -> Vec<u8> {
    let mut palette = vec![0; 3];
    for shade in 0..COLOURS - 1 {
        let turn = std::f64::consts::TAU * shade as f64 / (COLOURS - 1) as f64;
        let channel = |phase: f64| (127.5 - 127.5 * (turn + phase).cos()) as u8;
        palette.extend([channel(-0.9), channel(0.0), channel(0.9)]);
    }
    palette
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_where_it_is() {
        let in_the_set = |re, im| colour(re, im, 1000) == 0;
        assert!(in_the_set(0.0, 0.0) && in_the_set(-1.0, 0.0) && in_the_set(-0.1, 0.75));
        assert!(!in_the_set(1.0, 0.0) && !in_the_set(-0.75, 0.2) && !in_the_set(-2.1, 0.0));
    }

    #[test]
    fn a_tile_is_a_png_that_can_be_read_back() {
        let file = paint(Tile { zoom: 0, x: 0, y: 0 }).unwrap();
        assert!(file.starts_with(b"\x89PNG\r\n\x1a\n"));
        let pixels = decode(&file).unwrap();
        assert_eq!(pixels.len(), (SIDE * SIDE) as usize);
        // The origin is in the set; the corner is not. The image is symmetric about the axis.
        let at = |column: u32, row: u32| pixels[(row * SIDE + column) as usize];
        assert_eq!(at(160, 128), 0);
        assert_ne!(at(0, 0), 0);
        assert!((0..SIDE).all(|column| at(column, 100) == at(column, SIDE - 1 - 100)));
        // The decoder rejects a file that is cut off.
        assert!(decode(&file[..100]).is_err());
    }
}
