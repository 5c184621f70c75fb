//! Charts of lines, dots and bars over two numeric axes, as SVG.

use crate::ReportError;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Width and height of the drawing in pixels; the page scales it.
const SIZE: (u32, u32) = (460, 280);
const FONT: u32 = 13;
/// Numbers from this size on are not drawn; their ranges would overflow.
const LARGEST: f64 = 1e100;
const TEXT: RGBColor = RGBColor(80, 80, 80);
const AXIS: RGBColor = RGBColor(150, 150, 150);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// The colors of series, told apart with each kind of color vision (Okabe and Ito, 2008).
pub(crate) const PALETTE: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// The color of one of `count` steps of an ordered scale, from blue to red.
pub(crate) fn graded(index: usize, count: usize) -> RGBColor {
    let share = index as f64 / count.saturating_sub(1).max(1) as f64;
    let (r, g, b) = HSLColor(0.62 * (1.0 - share), 0.75, 0.42).rgb();
    RGBColor(r, g, b)
}

/// The form of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Points joined by lines.
    Line,
    /// Points joined by lines, with a dot at each.
    Dotted,
    /// Dots.
    Dots,
    /// Bars from 0 to each point, almost as wide as points are apart.
    Bars,
    /// A thin gray line.
    Guide,
}

/// Points with a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// The name in the legend; empty if it is not in it.
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) form: Form,
    pub(crate) color: RGBColor,
}

impl Series {
    /// A series without a name, in the first color.
    pub(crate) fn new(form: Form, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: String::new(),
            points,
            form,
            color: PALETTE[0],
        }
    }

    pub(crate) fn named(self, name: impl Into<String>, color: RGBColor) -> Self {
        Self {
            name: name.into(),
            color,
            ..self
        }
    }

    /// The points that can be drawn.
    fn drawable(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let points = self.points.iter().copied();
        points.filter(|(x, y)| x.abs() < LARGEST && y.abs() < LARGEST)
    }

    /// The smallest distance of neighbors on the horizontal axis; 1 if there is only one point.
    fn spacing(&self) -> f64 {
        let points: Vec<_> = self.drawable().map(|(x, _)| x).collect();
        let distances = points.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        distances.reduce(f64::min).unwrap_or(1.0)
    }
}

/// A chart of numbers over numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Chart {
    /// The title, which the page shows above.
    pub(crate) title: String,
    /// A sentence that the page shows below.
    pub(crate) note: String,
    /// The quantity of the horizontal axis, with its unit.
    pub(crate) x: String,
    /// The quantity of the vertical axis, with its unit.
    pub(crate) y: String,
    pub(crate) series: Vec<Series>,
    /// Positions of vertical lines.
    pub(crate) marks: Vec<f64>,
    /// The vertical range; that of the points if there is none.
    pub(crate) y_range: Option<Range<f64>>,
}

type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

impl Chart {
    /// Draws the chart. Points that cannot be drawn are left out; returns none if no point is
    /// left.
    ///
    /// # Errors
    /// If the plotting library fails.
    pub(crate) fn svg(&self) -> Result<Option<String>, ReportError> {
        let points: Vec<_> = self.series.iter().flat_map(Series::drawable).collect();
        if points.is_empty() {
            return Ok(None);
        }
        let x = padded(points.iter().map(|(x, _)| *x).chain(self.marks.clone()));
        let has_bars = self.series.iter().any(|series| series.form == Form::Bars);
        let base = has_bars.then_some(0.0);
        let range = || padded(points.iter().map(|(_, y)| *y).chain(base));
        let mut y = self.y_range.clone().unwrap_or_else(range);
        if has_bars {
            y.start = 0.0;
        }
        let mut svg = String::new();
        match self.draw(&mut svg, x, y) {
            Ok(()) => Ok(Some(svg)),
            Err(error) => Err(ReportError::Chart {
                chart: self.title.clone(),
                problem: error.to_string(),
            }),
        }
    }

    fn draw(&self, svg: &mut String, x: Range<f64>, y: Range<f64>) -> Drawn {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let anchor = Pos::new(HPos::Center, VPos::Top);
        let font = ("sans-serif", FONT).into_font().color(&TEXT).pos(anchor);
        let mut plane = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(40)
            .y_label_area_size(62)
            .build_cartesian_2d(x, y.clone())?;
        plane
            .configure_mesh()
            .x_labels(6)
            .y_labels(6)
            .x_desc(&self.x)
            .y_desc(&self.y)
            .label_style(font.clone())
            .axis_desc_style(font)
            .x_label_formatter(&|value| label(*value))
            .y_label_formatter(&|value| label(*value))
            .axis_style(AXIS)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for mark in &self.marks {
            let ends = [(*mark, y.start), (*mark, y.end)];
            plane.draw_series(LineSeries::new(ends, AXIS))?;
        }
        for series in &self.series {
            draw(&mut plane, series)?;
        }
        drop(plane);
        root.present()?;
        Ok(())
    }
}

fn draw(plane: &mut Plane<'_, '_>, series: &Series) -> Drawn {
    let (color, points) = (series.color, series.drawable());
    let dot = |point| Circle::new(point, 2, color.filled());
    match series.form {
        Form::Guide => {
            plane.draw_series(LineSeries::new(points, AXIS))?;
        }
        Form::Line | Form::Dotted => {
            plane.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
        }
        Form::Dots | Form::Bars => {}
    }
    match series.form {
        Form::Dots | Form::Dotted => {
            plane.draw_series(series.drawable().map(dot))?;
        }
        Form::Bars => {
            let half = 0.45 * series.spacing();
            let bar = |(x, y): (f64, f64)| {
                Rectangle::new([(x - half, 0.0), (x + half, y)], color.filled())
            };
            plane.draw_series(series.drawable().map(bar))?;
        }
        _ => {}
    }
    Ok(())
}

/// The range of some values with a margin on both sides, which is never empty.
fn padded(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let margin = match high - low {
        // Equal values, or ones that a margin of their distance would not separate.
        width if width <= 1e-9 * high.abs().max(low.abs()) => 0.05 * high.abs().max(1.0),
        width => 0.04 * width,
    };
    low - margin..high + margin
}

/// A number at an axis, as short as three digits allow.
fn label(value: f64) -> String {
    let size = value.abs();
    if size < 1e-12 {
        "0".to_owned()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.1e}")
    } else {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, f64)], form: Form) -> Chart {
        Chart {
            title: "Loss".to_owned(),
            x: "step".to_owned(),
            y: "loss".to_owned(),
            series: vec![Series::new(form, points.to_vec())],
            ..Chart::default()
        }
    }

    #[test]
    fn a_chart_is_one_svg_element_that_scales() {
        for form in [
            Form::Line,
            Form::Dotted,
            Form::Dots,
            Form::Bars,
            Form::Guide,
        ] {
            let chart = chart(&[(1.0, 0.5), (2.0, 0.25)], form);
            let svg = chart.svg().unwrap().unwrap();
            assert!(
                svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"),
                "{svg}"
            );
            assert!(svg.contains("viewBox=\"0 0 460 280\""), "{svg}");
            assert!(svg.contains("step") && svg.contains("loss"), "{svg}");
        }
    }

    #[test]
    fn values_that_cannot_be_drawn_are_left_out() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        assert_eq!(chart(&[], Form::Line).svg().unwrap(), None);
        assert_eq!(
            chart(&[(1.0, nan), (inf, 1.0)], Form::Dots).svg().unwrap(),
            None
        );
        for points in [
            &[(1.0, 0.5)][..],
            &[(0.0, 0.0)],
            &[(1.0, 0.5), (2.0, nan), (3.0, 0.5)],
            &[(1e9, 1e-30), (2e9, -1e30)],
            &[(5.0, f64::MAX), (6.0, 1.0)],
            &[(5.0, 9e99), (6.0, -9e99)],
            &[(1.0, 1.0), (1.0 + f64::EPSILON, 1.0)],
        ] {
            for form in [Form::Dotted, Form::Bars] {
                let svg = chart(points, form).svg().unwrap().unwrap();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn numbers_at_an_axis_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-1e-16, "0"),
            (0.25, "0.25"),
            (-1.0, "-1"),
            (1234.0, "1234"),
            (0.0001, "1.0e-4"),
            (250_000.0, "2.5e5"),
        ] {
            assert_eq!(label(value), text);
        }
    }

    #[test]
    fn grades_run_from_blue_to_red() {
        let colors: Vec<_> = (0..3).map(|index| graded(index, 3)).collect();
        assert!(
            colors[0].2 > colors[0].0 && colors[2].0 > colors[2].2,
            "{colors:?}"
        );
        assert_eq!(graded(0, 1), colors[0]);
    }
}
