"""Train any module on any task; knows neither architectures nor tickets."""
