"""Every throw of the dice during a story, from one seeded generator and the weather of the moment."""

from random import Random

from firstmate.model.units import Micros
from firstmate.sim.schedule import Weather


class Chance:
    """`weather` is exchanged as the story goes on."""

    def __init__(self, rng: Random, weather: Weather) -> None:
        self.rng = rng
        self.weather = weather

    def happens(self, probability: float) -> bool:
        return probability > 0 and self.rng.random() < probability

    def delay_us(self) -> Micros:
        least_us, most_us = self.weather.delay_us
        return least_us + int((most_us - least_us) * self.rng.random())

    def straggle_us(self) -> Micros:
        """How much later than usual this one comes; mostly 0."""
        if not self.happens(self.weather.reordering):
            return 0
        return int(self.weather.straggle_us * self.rng.random())

    def lateness_us(self) -> Micros:
        """Mostly little, rarely the most that there is."""
        return int(self.weather.lateness_us * self.rng.random() ** 4)

    def about_us(self, mean_us: Micros) -> Micros:
        """Half to one and a half times as long."""
        return mean_us // 2 + int(mean_us * self.rng.random())

    def flip(self, pdu: bytes) -> bytes:
        """Turn one bit over."""
        place = self.rng.randrange(len(pdu) * 8)
        return pdu[: place // 8] + bytes([pdu[place // 8] ^ 1 << place % 8]) + pdu[place // 8 + 1 :]
