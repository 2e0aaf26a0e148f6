//! Which part of the plane is a tile?

/// Pixels along each side.
pub(crate) const SIDE: u32 = 256;
/// Beyond this, neighbouring pixels are no longer different numbers.
pub(crate) const DEEPEST: u32 = 40;

/// The square that is the only tile at zoom level 0: its corner at the top left, and its side.
const LEFT: f64 = -2.5;
const TOP: f64 = 2.0;
const WIDTH: f64 = 4.0;

/// At level `zoom` the square is cut into 2^zoom by 2^zoom tiles, counted from the top left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tile {
    pub(crate) zoom: u32,
    pub(crate) x: u64,
    pub(crate) y: u64,
}

impl Tile {
    /// Reads `ZOOM/X/Y.png`.
    ///
    /// # Errors
    /// A sentence for the client that sent the request.
    pub(crate) fn parse(path: &str) -> Result<Tile, String> {
        let parts: Vec<&str> = path.split('/').collect();
        let [zoom, x, y] = parts[..] else {
            return Err("a tile is /tile/ZOOM/X/Y.png".to_owned());
        };
        let Some(y) = y.strip_suffix(".png") else {
            return Err(format!("tiles are PNG: ask for '{y}.png', not '{y}'"));
        };
        let level = digits(zoom).filter(|&zoom| zoom <= DEEPEST.into());
        let level = level
            .ok_or_else(|| format!("the zoom level is a whole number from 0 to {DEEPEST}, not '{zoom}'"))?;
        let last = (1 << level) - 1;
        let coordinate = |name: &str, text: &str| {
            let number = digits(text).filter(|&number| number <= last);
            number.ok_or_else(|| {
                format!("at zoom level {level}, {name} is a whole number from 0 to {last}, not '{text}'")
            })
        };
        Ok(Tile { zoom: level as u32, x: coordinate("x", x)?, y: coordinate("y", y)? })
    }

    pub(crate) fn path(self) -> String {
        let Tile { zoom, x, y } = self;
        format!("/tile/{zoom}/{x}/{y}.png")
    }

    /// The point of the plane in the middle of a pixel.
    #[allow(clippy::cast_precision_loss, reason = "2^40 tiles of 2^8 pixels fit into a float's 53 bits")]
    pub(crate) fn point(self, column: u32, row: u32) -> (f64, f64) {
        let pixel = WIDTH / ((1_u64 << self.zoom) * u64::from(SIDE)) as f64;
        let middle =
            |tile: u64, pixel_in_it: u32| (tile * u64::from(SIDE) + u64::from(pixel_in_it)) as f64 + 0.5;
        (LEFT + middle(self.x, column) * pixel, TOP - middle(self.y, row) * pixel)
    }
}

/// Digits alone: no sign, no spaces.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_back_to_its_tile() {
        for tile in [Tile { zoom: 0, x: 0, y: 0 }, Tile { zoom: 40, x: (1 << 40) - 1, y: 7 }] {
            assert_eq!(Tile::parse(tile.path().strip_prefix("/tile/").unwrap()), Ok(tile));
        }
    }

    #[test]
    fn what_is_no_tile_is_told_why() {
        for (path, reason) in [
            ("3/1", "a tile is /tile/ZOOM/X/Y.png"),
            ("3/1/2/4.png", "a tile is /tile/ZOOM/X/Y.png"),
            ("3/1/2", "ask for '2.png', not '2'"),
            ("41/0/0.png", "the zoom level is a whole number from 0 to 40, not '41'"),
            ("-1/0/0.png", "not '-1'"),
            ("+1/0/0.png", "not '+1'"),
            ("/0/0.png", "the zoom level is a whole number from 0 to 40, not ''"),
            ("3/8/0.png", "at zoom level 3, x is a whole number from 0 to 7, not '8'"),
            ("3/0/x.png", "at zoom level 3, y is a whole number from 0 to 7, not 'x'"),
            ("3/0/99999999999999999999999.png", "y is a whole number from 0 to 7"),
        ] {
            let message = Tile::parse(path).expect_err(path);
            assert!(message.contains(reason), "{path}: {message}");
        }
    }

    #[test]
    fn the_four_children_cover_their_parent() {
        let parent = Tile { zoom: 5, x: 11, y: 17 };
        let children = [(22, 34), (23, 34), (22, 35), (23, 35)].map(|(x, y)| Tile { zoom: 6, x, y });
        for (child, (column, row)) in children.into_iter().zip([(0, 0), (128, 0), (0, 128), (128, 128)]) {
            // A pixel of the parent is four of the child, so its middle is the point where those
            // meet.
            let (re, im) = parent.point(column, row);
            let (left, top) = child.point(0, 0);
            let (right, bottom) = child.point(1, 1);
            let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
            assert!(
                close(re, f64::midpoint(left, right)) && close(im, f64::midpoint(top, bottom)),
                "{child:?}"
            );
        }
    }
}
