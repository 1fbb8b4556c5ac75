"""What a merchant sees of shops: connecting one, its settings, and the messages that it sent.

`admin` is the list and the tabs of one shop, `forms` what is typed there, `connection` what the Connection tab says,
`messages` the pages of messages. How a message is received and applied is `orders.intake`.
"""
