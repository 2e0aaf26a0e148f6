//! How are many samples summed up in one number?

/// The middle sample, or the mean of the two in the middle. NaN if there is none.
pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let half = samples.len() / 2;
    match samples.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => samples[half],
        _ => f64::midpoint(samples[half - 1], samples[half]),
    }
}

/// The smallest sample that `share` of all samples do not exceed (nearest rank). NaN if there is none.
pub fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even_counts() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn percentile_takes_the_nearest_rank() {
        let samples: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!((percentile(&samples, 0.99) - 198.0).abs() < f64::EPSILON);
        assert!((percentile(&samples, 0.5) - 100.0).abs() < f64::EPSILON);
        assert!((percentile(&samples[..1], 0.99) - 1.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 0.5).is_nan());
    }
}
