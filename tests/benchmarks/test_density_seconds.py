from benchmarks.density import crowds, density_seconds


def test_every_crowd_is_timed_at_every_stride_and_sigma():
    seconds = density_seconds(image_size=(40, 60), count=9, repeats=1)
    assert len(seconds) == 2 * 2 * 3
    assert "even crowd, stride 8, sigma adaptive" in seconds
    assert all(value > 0 for value in seconds.values())


def test_crowds_lie_in_the_image():
    for points in crowds((40, 60), 500).values():
        assert points.shape == (500, 2)
        assert (points >= 0).all() and (points <= (60, 40)).all()
