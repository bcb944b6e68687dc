//! The table as a picture.

use std::path::Path;

use plotters::prelude::*;

use crate::measure::Measured;

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
            let points = rows.iter().map(|row| (row.grants as f64, row.nanos[side]));
            chart
                .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))
                .unwrap()
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
            chart.draw_series(points.map(|point| Circle::new(point, 3, color.filled()))).unwrap();
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .label_font(("sans-serif", 13))
            .draw()
            .unwrap();
    }
    area.present().unwrap();
}
