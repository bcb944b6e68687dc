//! The table as a picture.

use std::path::Path;

use plotters::prelude::*;

use crate::measure::{Measured, NOTHING};
use crate::over_http::Served;

const SIDES: [(usize, &str, RGBColor); 3] = [
    (1, "least possible", RGBColor(140, 140, 140)),
    (2, "grantor", RGBColor(31, 107, 183)),
    (3, "oauth-as", RGBColor(204, 92, 36)),
];

/// Cost against live grants: a panel for each operation.
pub fn cost(measured: &[Measured], directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    let file = directory.join("cost.svg");
    let area = SVGBackend::new(&file, (960, 640)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let mut names: Vec<&str> = measured.iter().map(|row| row.operation).collect();
    names.dedup();
    for (panel, name) in area.split_evenly((2, 2)).iter().zip(names) {
        let rows: Vec<_> = measured.iter().filter(|row| row.operation == name).collect();
        let most = rows.iter().flat_map(|row| row.nanos).fold(0.0, f64::max) * 1.15;
        let (first, last) = (rows[0].grants as f64, rows[rows.len() - 1].grants as f64);
        let mut chart = ChartBuilder::on(panel)
            .caption(name, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d((first * 0.8..last * 1.25).log_scale(), 0.0..most)
            .unwrap();
        let count = |at: &f64| match *at {
            at if at >= 1e6 => format!("{:.0} M", at / 1e6),
            at if at >= 1e3 => format!("{:.0} k", at / 1e3),
            at => format!("{at:.0}"),
        };
        chart
            .configure_mesh()
            .x_desc("live grants")
            .y_desc("ns")
            .x_label_formatter(&count)
            .y_label_formatter(&|at| format!("{at:.0}"))
            .light_line_style(WHITE)
            .label_style(("sans-serif", 13))
            .draw()
            .unwrap();
        for (side, label, color) in SIDES {
            let there = rows.iter().filter(|row| row.nanos[side] >= NOTHING);
            let points = there.map(|row| (row.grants as f64, row.nanos[side]));
            chart
                .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))
                .unwrap()
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
            chart.draw_series(points.map(|point| Circle::new(point, 3, color.filled()))).unwrap();
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .label_font(("sans-serif", 13))
            .draw()
            .unwrap();
    }
    area.present().unwrap();
}

/// Processor time of a request, a bar for each server: the slow ones would hide the fast ones on a
/// linear axis.
pub fn over_http(served: &[Served], directory: &Path) {
    let file = directory.join("http.svg");
    let area = SVGBackend::new(&file, (960, 80 + 44 * served.len() as u32)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    // With room for what is written after the longest bar.
    let (least, most) = (1.0, served.iter().map(|side| side.cpu / 1e3).fold(0.0, f64::max) * 5.0);
    let rows = served.len() as f64;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(180)
        .build_cartesian_2d((least..most).log_scale(), 0.0..rows)
        .unwrap();
    chart
        .configure_mesh()
        .x_desc("processor time of the server for a request, µs")
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(WHITE)
        .x_label_formatter(&|at| format!("{at:.0}"))
        .label_style(("sans-serif", 14))
        .draw()
        .unwrap();
    let style = ("sans-serif", 15).into_font();
    for (at, side) in served.iter().enumerate() {
        let middle = rows - at as f64 - 0.5;
        let color = match side.name {
            name if name.starts_with("grantor") => SIDES[1].2,
            name if name.starts_with("oauth-as") => SIDES[2].2,
            name if name.starts_with("hyper") => SIDES[0].2,
            _ => RGBColor(110, 90, 130),
        };
        let cpu = side.cpu / 1e3;
        let bar = Rectangle::new([(least, middle - 0.3), (cpu, middle + 0.3)], color.filled());
        chart.draw_series([bar]).unwrap();
        let label = Text::new(
            format!("{cpu:.1} µs, {:.2} ×", side.ratio),
            (cpu * 1.04, middle + 0.14),
            style.clone(),
        );
        chart.draw_series([label]).unwrap();
        let (_, y) = chart.backend_coord(&(least, middle));
        area.draw(&Text::new(side.name, (24, y - 8), style.clone())).unwrap();
    }
    area.present().unwrap();
}
